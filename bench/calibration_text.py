"""Write the built-in calibration text: a model goes on with a few openings.

Text that the model itself says costs no licence and lies close to what it was trained on (arXiv 2410.17170). What a
small model makes up about people is not fit to print, so texts that touch on certain subjects are left out.

    python -m bench.calibration_text SmolLM2-135M-Instruct.Q4_1.gguf -o compiler/compress/calibration.json

About 5 minutes on two cores. Another BLAS may round differently and so give another text.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

from compiler.frontend import Model, load_model
from compiler.frontend.reference import rms_norm, rope, silu

__all__ = ["generate"]

OPENINGS = (
    "The river rises in the northern hills and flows south through",
    "The battle began at dawn when the infantry of the",
    "The album was recorded over six weeks in a studio in",
    "The species was first described by the naturalist who found it in",
    "The company was founded in 1923 by two brothers who",
    "In mathematics, a group is a set together with an operation that",
    "The season began badly for the team, which lost its first four matches",
    "The hurricane formed from a tropical wave that left the coast of",
    "The railway line was opened in 1871 to carry coal from the mines to",
    "She was born in a small village, the third daughter of a",
    "The film follows a young detective who returns to the city after",
    "The cathedral was built between the twelfth and the fourteenth century by",
    "Photosynthesis is the process by which plants",
    "The treaty was signed after three years of negotiation between",
    "The highway runs east from the harbour, crosses the bridge and",
    "The novel was received well by critics, who praised its",
    "The novel opens on a winter evening in a house where",
    "The planet has two moons, the larger of which",
    "The law was passed by the parliament in spring, although many members",
    "The ship was laid down in March, launched a year later and",
    "To make the bread, first mix the flour with",
    "A computer program is a sequence of instructions that",
    "The church stands on a hill above the town. Its tower was",
    "The king died without an heir, and the nobles",
    "The island is home to about four thousand people, most of whom",
    "The disease is caused by a bacterium that enters the body through",
    "The painting shows a woman in a red dress standing by",
    "The university offers courses in law, medicine and",
    "The player was born in 1984 and began his career with",
    "The episode was written by the producer of the series and first shown on",
    "The mountain was climbed for the first time in 1865 by a party of",
    "The economy of the region depends on fishing, forestry and",
)
AVOID = re.compile(
    "islam|muslim|christ|jew|hindu|god|church|religio|jihad|holocaust|genocid|nazi|hitler|terror|slave|coloni|massacre|"
    "kill|murder|suicid|abus|rape|drug|sex|porn|gay|lesbian|naked|racis|ethnic|tribe|immigra|africa|indian|israel|palestin|"
    "black people|white people|savage|primitive|idiot|stupid|cancer|covid|vaccin|trump|obama|putin|http|www|@|\ufffd",
    re.IGNORECASE,
)


def generate(model: Model, prompts: list[list[int]], length: int, temperature: float, seed: int) -> list[list[int]]:
    """Every prompt continued to `length` tokens, sampled from the softmax of logits / temperature, all at once.

    Control tokens are never chosen.
    """
    config, rng = model.config, np.random.default_rng(seed)
    weights = {name: tensor.dense() for name, tensor in model.tensors.items()}
    head = weights["embed" if config.tied_head else "head"]
    count, shared = len(prompts), config.heads // config.kv_heads
    keys = np.zeros((config.layers, count, config.kv_heads, length, config.head_dim), np.float32)
    values = np.zeros_like(keys)
    texts = [list(prompt) for prompt in prompts]
    control = [token for token in range(config.vocab) if not model.tokenizer.decode_token(token)]
    for at in range(length - 1):
        x = weights["embed"][[text[at] for text in texts]]
        for i in range(config.layers):
            w = {name.split(".")[-1]: values for name, values in weights.items() if name.startswith(f"layers.{i}.")}
            h = rms_norm(x, w["attn_norm"], config.norm_eps)
            q, k = (rope((h @ w[n].T).reshape(1, -1, config.head_dim), config.rope_theta, at)[0] for n in "qk")
            keys[i, :, :, at] = k.reshape(count, config.kv_heads, -1)
            values[i, :, :, at] = (h @ w["v"].T).reshape(count, config.kv_heads, -1)
            scores = q.reshape(count, config.kv_heads, shared, -1) @ keys[i, :, :, : at + 1].swapaxes(-1, -2)
            scores /= np.float32(np.sqrt(config.head_dim))
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            x = x + (scores @ values[i, :, :, : at + 1]).reshape(count, -1) @ w["o"].T
            h = rms_norm(x, w["ffn_norm"], config.norm_eps)
            x = x + (silu(h @ w["gate"].T) * (h @ w["up"].T)) @ w["down"].T
        logits = rms_norm(x, weights["norm"], config.norm_eps) @ head.T / np.float32(temperature)
        logits[:, control] = -np.inf
        noise = -np.log(-np.log(rng.random(logits.shape, dtype=np.float32) + 1e-9))
        for text, token in zip(texts, (logits + noise).argmax(1).tolist(), strict=True):
            if at + 1 == len(text):
                text.append(token)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model that writes")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--each", type=int, default=4, help="texts of each opening")
    parser.add_argument("--length", type=int, default=272, help="tokens of a text")
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = load_model(args.model)
    prompts = [model.tokenizer.encode(opening) for opening in OPENINGS] * args.each
    ids = generate(model, prompts, args.length, args.temperature, args.seed)
    texts = [text for text in map(model.tokenizer.decode, ids) if not AVOID.search(text)]
    about = f"written by {args.model.stem} and chosen by bench/calibration_text.py; nonsense, and free for any use"
    args.output.write_text(json.dumps({"about": about, "texts": texts}, indent=0, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
