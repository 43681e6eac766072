"""The model work of the lens page: the lens of a prompt, and tokens followed through the layers."""

from app import links
from app.jobs import readings, work
from app.jobs.again import Arguments, prompt_in, task, whole
from app.library import models, vocabulary
from app.library.prompts import Prompt
from probe.progress import Progress


def lens_work(model: str, prompt: Prompt) -> work.Work:
    """The logit lens at every layer and position."""

    def run(progress: Progress) -> object:
        return readings.lens(model, prompt.text, progress=progress)

    key, link = work.key_of("lens", model, prompt.id), links.lens_page(model, prompt.id)
    again = ["lens", {"model": model, "prompt": prompt.id}]
    return work.Work(key, "Read the logit lens", run, link, "read", again=again)


def follow_work(model: str, prompt: Prompt, token: int | str) -> work.Work:
    """The final prediction and what really follows, or one token beside the final prediction, at every layer and position."""

    def run(progress: Progress) -> object:
        from probe.lens.follow import OWN, follow_token

        vocabulary.load_vocabulary(model, progress)
        bridge = models.model_named(model, progress)
        return follow_token(bridge, prompt.text, OWN if isinstance(token, str) else [token, "final"], progress=progress)

    wanted = "own" if isinstance(token, str) else token
    link = links.lens_page(model, prompt.id, q=token)
    again = ["follow", {"model": model, "prompt": prompt.id, "token": token}]
    return work.Work(work.key_of("follow", model, prompt.id, wanted), "Follow a token", run, link, "read", again=again)


@task("lens")
def _lens_again(arguments: Arguments) -> None:
    work.submit(lens_work(arguments["model"], prompt_in(arguments)))


@task("follow")
def _follow_again(arguments: Arguments) -> None:
    token = arguments["token"] if isinstance(arguments["token"], str) else whole(arguments, "token")[0]
    work.submit(follow_work(arguments["model"], prompt_in(arguments), token))
