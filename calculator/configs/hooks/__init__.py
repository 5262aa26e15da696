"""Types that are truly different: each overrides what it must of ``Assembler``, and its row in ``families`` names it.

A file is of one type, in the folder of what is different there: ``heads``, ``mixers``, ``widths`` (MLPs, experts,
streams, vocabularies) or ``encoders``; ``shared`` has the traits of several. General code knows none of them.
"""
