"""`python -m welltuned.cli` imports nothing from the working folder.

Python puts that folder first on the path, so a file there that is called as a library is, such as
`yaml.py`, would be run in its place: a folder of data would choose code. To be imported before all
else; while a module that `-m` names is looked for, "-m" stands in place of the program's name.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    del sys.path[0]
