"""A pytest plugin to be loaded after the one of a double: notes how long that took."""

import time

from noting import NOTES

NOTES.plugins = time.perf_counter() - NOTES.began
