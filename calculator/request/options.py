"""What one keyword of ``plan`` may be, and which faces show it."""

from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from calculator.hardware import MAX_BYTES
from calculator.messages import phrase
from calculator.reading.fields import Between, Choice, Count, Field, Flag, Nested, Number, Text, count, optional

MAX_RANKS = 65_536
MAX_CHECKPOINT_BYTES = 2**50
ENGINES_DEFAULT, ESTIMATE, NOTHING = phrase("the engine's default"), phrase("the estimate"), "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How the page and its links show an option.

    Attributes
    ----------
    least, most : int, float or None
        Bounds of its widget, where they are narrower than those of ``plan``; GiB for bytes.
    clears : bool
        Whether a number can be left empty.
    """

    least: float | None = None
    most: float | None = None
    clears: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One keyword of ``plan``.

    Attributes
    ----------
    field : Field
        What it may be.
    help : str
        What it is, in a phrase.
    unit : str
        Its unit.
    default : object
        What holds where it is left out; None where the engine, the model or the estimate says.
    absent : str
        Who says so then.
    is_engines : bool
        Whether it sets up the engine; else it describes the load, the device or the estimate.
    everywhere : bool
        Whether it means the same to every engine.
    cuts : bool
        Whether an engine's cutting of KV memory depends on it.
    logged : bool
        Whether a start-up log states it under this name.
    page : Page or None
        How the page shows it; None where it does not.
    """

    field: Field
    help: str
    unit: str = "-"
    default: Any = None
    absent: str = ENGINES_DEFAULT
    is_engines: bool = True
    everywhere: bool = False
    cuts: bool = False
    logged: bool = False
    page: Page | None = Page()

    def __post_init__(self) -> None:
        """Tell the field its unit, so that a size in text is read."""
        object.__setattr__(self, "field", replace(self.field, unit=self.unit))

    @property
    def of_plan(self) -> Field:
        """What the keyword of ``plan`` may be: a default may be left out, and what has none may be None."""
        left_out = optional(self.field) if self.default is None else replace(self.field, required=False)
        return replace(left_out, default=self.default, help=self.help)

    @property
    def is_bytes(self) -> bool:
        """Whether it is a size: text with a unit on the command line, GiB on the page."""
        return self.unit == "bytes"

    @property
    def type_name(self) -> str:
        """The name of its type, as a docstring has it."""
        kinds = ((Count, "int"), (Number, "float"), (Between, "float"), (Flag, "bool"), (Nested, "dict"))
        names = dict(kinds) | dict.fromkeys((Text, Choice), "str")
        return names[type(self.field)] + (", optional" if self.default is None else "")


def overhead(what: str) -> Option:
    """Return the option of a value of one's own in place of an estimate [bytes]."""
    return Option(
        field=count(MAX_BYTES, minimum=0),
        help=f"your own {what} of one GPU, in place of the estimate",
        unit="bytes",
        absent=ESTIMATE,
        is_engines=False,
        page=Page(least=0.0, most=1_000_000.0),
    )


def options_of(table: type) -> dict[str, Option]:
    """Return the options that the fields of a table state, in their order."""
    stated = {field.name: get_args(field.type)[1:] for field in fields(table)}
    return {name: found[0] for name, found in stated.items() if found}
