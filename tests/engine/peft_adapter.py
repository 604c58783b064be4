"""Trains a LoRA adapter with PEFT until the model answers a question in another way, and saves it as PEFT does.

Run by the engine's interpreter, which has torch and transformers: ``python peft_adapter.py MODEL QUESTION ANSWER INTO``
with PEFT on PYTHONPATH (``make test-setup`` puts it beside the tests' environment).
"""

from __future__ import annotations

import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

_STEPS = 200


def train(model_dir: str, question: str, answer: str, into: str) -> None:
    """Raises SystemExit when the model does not learn it."""
    torch.manual_seed(7)
    torch.set_num_threads(1)  # more would only wait for each other over so small a model
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    wanted = LoraConfig(r=8, lora_alpha=32, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(base, wanted)
    turn = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    asked = tokenizer(prompt, add_special_tokens=False).input_ids
    said = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False).input_ids
    tokens = torch.tensor([asked + said])
    labels = torch.tensor([[-100] * len(asked) + said])
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=5e-3)
    sure = 0
    for _ in range(_STEPS):
        found = model(input_ids=tokens, labels=labels)
        right = found.logits[0, len(asked) - 1 : -1].argmax(-1).tolist() == said
        sure = sure + 1 if right else 0
        if sure == 5:  # rounding to 16 bits must not change it
            model.save_pretrained(into)
            return
        found.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    sys.exit(f"after {_STEPS} steps the model does not say {answer!r}")


if __name__ == "__main__":
    train(*sys.argv[1:])
