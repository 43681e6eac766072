"""The pages, in the order in which their addresses are tried."""

from app.pages import home, jobs, prompts, report
from app.pages.circuit import page as circuit_page
from app.pages.circuit_list import compare as compare_circuits
from app.pages.circuit_list import page as circuit_list_page
from app.pages.compare_prompts import page as compare_prompts_page
from app.pages.heads import page as heads_page
from app.pages.lens import page as lens_page
from app.pages.patching import page as patching_page
from app.pages.prompt import page as prompt_page
from app.pages.training import page as training_page
from app.pages.training import run as training_run
from app.pages.unit import page as unit_page
from app.pages.unit_browser import browser as all_units
from app.pages.unit_browser import page as unit_browser_page

_MODULES = (
    *(home, prompts, prompt_page, compare_prompts_page, heads_page, lens_page, unit_browser_page, all_units, unit_page),
    *(circuit_list_page, circuit_page, compare_circuits, patching_page, training_page, training_run, report, jobs),
)
PAGES = [module.PAGE for module in _MODULES]
