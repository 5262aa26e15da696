"""What is asked of a plan: ONE table of options, from which every face has its keywords.

The fields of ``table.Table`` say of each its type, and in an ``Option`` its bounds, unit, default and help,
and which faces show it. Keywords and docstring of ``plan``, flags of the command line, parameters of links, keys of
plan files, keywords of a log and what an engine is shown are derived from it: a new keyword is a field there, and the
place that uses it.
"""

from calculator.request.asked import ESTIMATES as ESTIMATES
from calculator.request.asked import FLAGS as FLAGS
from calculator.request.asked import OPTIONS as OPTIONS
from calculator.request.asked import PLAN_DEFAULTS as PLAN_DEFAULTS
from calculator.request.asked import PLAN_FIELDS as PLAN_FIELDS
from calculator.request.asked import PLAN_SCHEMA as PLAN_SCHEMA
from calculator.request.asked import ZERO_IS_NONE as ZERO_IS_NONE
from calculator.request.asked import Cutting as Cutting
from calculator.request.asked import Request as Request
from calculator.request.asked import asked_of as asked_of
from calculator.request.asked import is_left_out as is_left_out
from calculator.request.options import MAX_RANKS as MAX_RANKS
from calculator.request.options import Option as Option
from calculator.request.options import Page as Page
