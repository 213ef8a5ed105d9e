"""`lacuna disasm`, `asm` and `inspect`: programs as text and in numbers."""

import argparse
from collections import Counter
from pathlib import Path

from cli.errors import UsageError
from cli.output import Output
from golden.isa.formats import IsaError
from golden.isa.llm import ISA
from golden.params import LlmParams

__all__ = ["add_verbs", "assemble", "disassemble", "image_of", "read_words"]

WORD_BYTES = ISA.bits // 8
COMMENT = "#"


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    disasm = verbs.add_parser("disasm", parents=[common], help="print a program as assembler text")
    disasm.add_argument("program", type=Path, metavar="PROG", help="program folder, or an image that `asm` wrote")
    disasm.set_defaults(run=run_disasm)
    asm = verbs.add_parser("asm", parents=[common], help="assemble text to an instruction image")
    asm.add_argument("file", type=Path, metavar="FILE", help="an instruction a line; # starts a comment")
    asm.add_argument("-o", "--output", type=Path, required=True, metavar="IMAGE", help="image to write")
    asm.set_defaults(run=run_asm)
    inspect = verbs.add_parser("inspect", parents=[common], help="what a program consists of")
    inspect.add_argument("program", type=Path, metavar="PROG", help="program folder")
    inspect.set_defaults(run=run_inspect)


def assemble(text: str) -> list[int]:
    """Instruction words of assembler text. Raises IsaError naming the line."""
    words = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition(COMMENT)[0].strip()
        try:
            words += [ISA.from_text(code)] if code else []
        except IsaError as error:
            raise IsaError(f"line {number}: {error}") from None
    return words


def disassemble(words: list[int]) -> list[str]:
    """Assembler text of instruction words. Raises IsaError naming the instruction."""
    lines = []
    for number, word in enumerate(words):
        try:
            lines.append(ISA.to_text(word))
        except IsaError as error:
            raise IsaError(f"instruction {number}: {error}") from None
    return lines


def image_of(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)


def read_words(path: Path) -> list[int]:
    """Instruction words of a program folder or of an image file."""
    if path.is_dir():
        from compiler.program import Program

        return [int(word) for word in Program.load(path).instructions]
    data = path.read_bytes()
    if len(data) % WORD_BYTES:
        raise UsageError(f"{path}: {len(data)} bytes is no whole number of {WORD_BYTES}-byte instructions")
    return [int.from_bytes(data[at : at + WORD_BYTES], "little") for at in range(0, len(data), WORD_BYTES)]


def run_disasm(args: argparse.Namespace, out: Output) -> int:
    lines = disassemble(read_words(args.program))
    out.result({"instructions": lines}, lines)
    return 0


def run_asm(args: argparse.Namespace, out: Output) -> int:
    try:
        words = assemble(args.file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{args.file}: not text: {error}") from None
    except IsaError as error:
        raise IsaError(f"{args.file}: {error}") from None
    args.output.write_bytes(image_of(words))
    size = len(words) * WORD_BYTES
    out.result(
        {"image": args.output, "instructions": len(words), "bytes": size},
        [f"{args.output}: {len(words)} instructions, {size} bytes"],
    )
    return 0


def run_inspect(args: argparse.Namespace, out: Output) -> int:
    from compiler.llm.prompt import PromptPlan
    from compiler.llm.unroll import unrolled
    from compiler.program import Program

    program = Program.load(args.program)
    words, manifest = [int(word) for word in program.instructions], program.manifest
    formats = [ISA.decode(word)[0] for word in words]
    record = {
        "manifest": manifest,
        "instructions": len(words),
        "instruction_bytes": len(words) * WORD_BYTES,
        "unrolled": unrolled(
            LlmParams.from_dict(manifest["params"]), words, manifest["model"]["context"], PromptPlan.of(manifest)
        ),
        "opcodes": dict(Counter(fmt.name for fmt in formats).most_common()),
        "queues": dict(Counter(fmt.queue for fmt in formats).most_common()),
        "image_bytes": image_sizes(program.images),
    }
    lines = [f"{key}: {record[key]}" for key in ("instructions", "instruction_bytes")]
    lines += ["the same for every length, unrolled:"]
    lines += [f"  {name:15} {size['bytes']:,} bytes" for name, size in record["unrolled"].items()]
    for key in ("opcodes", "queues", "image_bytes"):
        lines += [f"{key}:", *(f"  {name:12} {value}" for name, value in record[key].items())]
    out.result(record, lines)
    return 0


def image_sizes(images) -> dict[str, int]:
    """Bytes of each memory image, by name or number."""
    items = images.items() if hasattr(images, "items") else enumerate(images)
    return {str(name): memoryview(image).nbytes for name, image in items}
