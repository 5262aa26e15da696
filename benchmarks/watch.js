// Runs inside a page before its own scripts: looks at it in every frame and notes when it shows what is awaited.

const chartsOn = () => [...document.querySelectorAll(".js-plotly-plot")];

const isDrawn = (chart) => Boolean(chart.querySelector(".js-line[d], .point path[d]"));

const close = (one, other) => typeof one === "number" && Math.abs(one - other) <= 1e-6 * Math.abs(other);

const holds = (chart, values) =>
  chart.data.some((trace) =>
    [trace.x, trace.y].some((axis) => [...(axis ?? [])].some((entry) => values.some((value) => close(entry, value)))),
  );

// Resolves to the milliseconds after `start` at which each phase was first seen, the last being all of it.
function watchFor(awaited, start, before = new Map()) {
  const phases = {};
  const note = (phase) => (phases[phase] ??= performance.now() - start);
  const isNew = (chart) => isDrawn(chart) && before.get(chart) !== chart.querySelector(".main-svg").innerHTML;
  return new Promise((resolve) => {
    const look = () => {
      const main = document.querySelector("[data-testid=stMain]");
      if (main) note("application");
      if (main?.querySelector("[data-testid=stElementContainer]")) note("first element");
      const said = Boolean(main?.textContent.includes(awaited.text));
      if (said && "first element" in phases) note("text");
      const ready = chartsOn().filter(
        (chart) => isDrawn(chart) && (!awaited.values.length || (holds(chart, awaited.values) && isNew(chart))),
      );
      if (said && ready.length >= awaited.charts) {
        note("charts");
        resolve(phases);
      } else requestAnimationFrame(look);
    };
    look();
  });
}

// Starts with the next press of Enter.
function watchFromEnter(awaited) {
  const before = new Map(chartsOn().map((chart) => [chart, chart.querySelector(".main-svg").innerHTML]));
  return new Promise((resolve) => {
    const pressed = (event) => {
      if (event.key !== "Enter") return;
      removeEventListener("keydown", pressed, true);
      resolve(watchFor(awaited, performance.now(), before));
    };
    addEventListener("keydown", pressed, true);
  });
}

Object.assign(window, { watchFor, watchFromEnter });
