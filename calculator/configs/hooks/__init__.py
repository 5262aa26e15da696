"""Types that are truly different: each overrides what it must of ``Assembler``, and its row in ``families`` names it.

A file is of one type; ``shared`` has the traits of several. General code knows none of them.
"""
