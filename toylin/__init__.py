"""toylin: a workbench for gradient-based meta-learning on shallow and deep models.

The names are listed by topic in ``__init__.pyi`` beside this file, which is their one home; each is
loaded when it is first used, so that starting stays quick.
"""

import lazy_loader as _lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
del _lazy_loader
