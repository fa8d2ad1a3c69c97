"""What the demo pair answers, measured as the suite measures it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from pytest_awsbench.demo.rows import Turn
from pytest_awsbench.records import Completion, Message, Sample
from pytest_awsbench.scoring.answers import METRICS


LIMIT = 128


def measure(base: Path, adapter: Path, turns: list[Turn]) -> dict[str, Any]:
    """Return every metric of both models on the held-out turns, greedy, fp32.

    Prompts are generated one at a time with `generate`, so the figures do not rest
    on the batching that the plugin brings.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, adapter).eval()
    with torch.no_grad():
        adapted = [answer(model, tokenizer, turn) for turn in turns]
        with model.disable_adapter():
            based = [answer(model, tokenizer, turn) for turn in turns]
    return {"base": figures(turns, based), "adapter": figures(turns, adapted)}


def answer(model: Any, tokenizer: Any, turn: Turn) -> str:
    """Return the greedy answer to one turn."""
    inputs = tokenizer.apply_chat_template(
        turn.row()["messages"][:-1],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    output = model.generate(**inputs, max_new_tokens=LIMIT, do_sample=False)
    new = output[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(new, skip_special_tokens=True))


def figures(turns: Iterable[Turn], texts: Iterable[str]) -> dict[str, Any]:
    """Return the mean of every metric, overall and by source and tier."""
    scores: dict[tuple[str, str], list[Mapping[str, float]]] = defaultdict(list)
    for turn, text in zip(turns, texts, strict=True):
        score = _score(turn, text)
        for group in (("all", ""), ("source", turn.source), ("tier", turn.tier)):
            scores[group].append(score)
    means = {
        group: {metric: round(fmean(s[metric] for s in rows), 4) for metric in METRICS}
        for group, rows in scores.items()
    }
    return {
        "overall": means["all", ""],
        "by_source": {name: m for (by, name), m in means.items() if by == "source"},
        "by_tier": {name: m for (by, name), m in means.items() if by == "tier"},
    }


def _score(turn: Turn, text: str) -> dict[str, float]:
    """Return every metric of one answer."""
    sample = Sample.of((Message("user", turn.user),), turn.answer)
    completion = Completion(text=text)
    return {
        metric: scorer(sample, completion).value or 0.0
        for metric, scorer in METRICS.items()
    }
