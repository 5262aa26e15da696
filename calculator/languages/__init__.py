"""Languages that texts are said in: English by themselves, any other by a catalogue, a file a language."""

from calculator.languages.known import ENGLISH, Language, language, languages, meant_by
from calculator.languages.saying import said_in, texts_said_in

__all__ = ["ENGLISH", "Language", "language", "languages", "meant_by", "said_in", "texts_said_in"]
