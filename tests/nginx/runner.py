"""Runs the tests of a script, or those whose names hold the words of the command line."""
import sys
import unittest

from processes import Failure


def run(*cases):
    """Runs these cases, prints a last line that says how many passed and failed, and ends the program."""
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]] or None
    try:
        result = unittest.TextTestRunner(verbosity=1).run(unittest.TestSuite(map(loader.loadTestsFromTestCase, cases)))
    except Failure as failure:
        sys.exit(f"{failure}")
    broken = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - broken)} passed, {broken} failed")
    sys.exit(1 if broken or not result.testsRun else 0)
