"""One room a page, none of which knows of another; here is the order in which their addresses are tried."""

from app.pages.circuit.page import OF_RESULT as CIRCUIT_OF_RESULT
from app.pages.circuit.page import PAGE as CIRCUIT
from app.pages.circuit_list.compare import PAGE as TWO_CIRCUITS
from app.pages.circuit_list.page import PAGE as CIRCUITS
from app.pages.heads.page import PAGE as HEADS
from app.pages.home import PAGE as HOME
from app.pages.jobs import PAGE as JOBS
from app.pages.lens import PAGE as LENS
from app.pages.method import PAGE as METHOD
from app.pages.methods import PAGE as METHODS
from app.pages.patching.page import PAGE as PATCHING
from app.pages.prompt.page import PAGE as PROMPT
from app.pages.prompts import PAGE as PROMPTS
from app.pages.report import PAGE as REPORT
from app.pages.training.page import PAGE as TRAINING
from app.pages.training.run import PAGE as RUN
from app.pages.two_prompts import PAGE as TWO_PROMPTS
from app.pages.unit.page import PAGE as UNIT
from app.pages.unit_browser.browser import PAGE as UNITS_OF_A_TABLE
from app.pages.unit_browser.page import PAGE as UNITS

PAGES = [
    *(HOME, PROMPTS, PROMPT, TWO_PROMPTS, HEADS, LENS, UNITS, UNITS_OF_A_TABLE, UNIT),
    *(CIRCUITS, CIRCUIT, CIRCUIT_OF_RESULT, TWO_CIRCUITS, PATCHING, TRAINING, RUN, METHODS, METHOD, REPORT, JOBS),
]
