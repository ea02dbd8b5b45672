from settings import *  # noqa: F403
from package_that_is_not_there import something  # noqa: F401
