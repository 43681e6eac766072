"""The pages on models of other block shapes: parallel blocks, post-norms, QK-norm, grouped queries, ungated MLPs, soft-caps."""

import pytest
from browsing import SLACK, chromium, expect, gone_to, kept, pytestmark, site, tab
from tiny import tiny

import circuits
from app import links
from app.library import models, prompts
from probe.artifacts.folder import place
from probe.identity import set_name
from probe.model.fingerprint import stamp

PROMPT, OTHER = "The capital of France is", "The capital of Italy is"
WAIT = 30_000 * SLACK


SHAPES = ("opt", "gpt_neox", "gemma2", "qwen3")  # between them every shape of block that the pages may meet


@pytest.fixture(params=SHAPES)
def served(request, site):
    """A tiny random model that the pages run as a notebook's: its name, and the name of a stored graph of it."""
    model = tiny(request.param)
    set_name(model, f"tiny-{request.param}")
    name, graph = models.hand_over(model), f"graph-{request.param}"
    circuits.save_graph(circuits.trace(model, PROMPT), place("graph", graph), model=stamp(model))
    yield name, graph
    models.forget()


def test_every_page_of_a_model_fills(served, site, tab):
    name, graph = served
    tab.goto(site + "/")
    clean, corrupted = (prompts.store(text, name).id for text in (PROMPT, OTHER))
    for address, *filled in (
        (links.prompt_page(clean, name), "#strip .ow-tok", ".ow-thumbs canvas", "#units .ow-row, #units tr"),
        (links.heads_page(name, clean, head="1.2", token=2), "#heads-thumbs canvas", "#heads-scores tr"),
        (links.lens_page(name, clean, token=2), "[data-axes] .hm", "[data-axes=layer] .xy"),
        (links.neuron_page(name, 1, 3, prompt=clean), ".ow-rows-box tr"),
        (links.beside_page(clean, corrupted, name), ".ow-column .ow-tok", ".ow-chosen table tr"),
        (links.patching_page(name, clean, corrupted, over="heads", right=" the", wrong=" a"), ".ow-block .hm"),
        (links.circuit_page(graph), "#links .main-svg", "#edges tr"),
    ):
        gone_to(tab, site + address)
        for selector in filled:
            expect(tab.locator(selector).first).to_be_attached(timeout=WAIT)
        expect(tab.locator(".ow-skeleton:visible, .ow-slot .ow-partial:visible")).to_have_count(0, timeout=WAIT)
        assert not tab.locator(".ow-state.error:visible").all_inner_texts(), address
