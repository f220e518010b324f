"""An explorer of a whole commons in the browser: ``a4nn explore``."""
