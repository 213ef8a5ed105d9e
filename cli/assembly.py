"""`lacuna disasm`, `asm` and `inspect`: programs as text and in numbers."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from cli.config import add_engine_option
from cli.errors import UsageError
from cli.output import Output
from golden.engines import ENGINES
from golden.isa.formats import InstructionSet, IsaError
from golden.params import LlmParams

__all__ = ["add_verbs", "assemble", "disassemble", "read_program"]

COMMENT = "#"


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    disasm = verbs.add_parser("disasm", parents=[common], help="print a program as assembler text")
    disasm.add_argument("program", type=Path, metavar="PROG", help="program folder, or an image that `asm` wrote")
    add_engine_option(disasm)
    disasm.set_defaults(run=run_disasm)
    asm = verbs.add_parser("asm", parents=[common], help="assemble text to an instruction image")
    asm.add_argument("file", type=Path, metavar="FILE", help="an instruction a line; # starts a comment")
    asm.add_argument("-o", "--output", type=Path, required=True, metavar="IMAGE", help="image to write")
    add_engine_option(asm)
    asm.set_defaults(run=run_asm)
    inspect = verbs.add_parser("inspect", parents=[common], help="what a program consists of")
    inspect.add_argument("program", type=Path, metavar="PROG", help="program folder")
    inspect.set_defaults(run=run_inspect)


def assemble(isa: InstructionSet, text: str) -> list[int]:
    """Instruction words of assembler text. Raises IsaError naming the line."""
    words = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition(COMMENT)[0].strip()
        try:
            words += [isa.from_text(code)] if code else []
        except IsaError as error:
            raise IsaError(f"line {number}: {error}") from None
    return words


def disassemble(isa: InstructionSet, words: list[int]) -> list[str]:
    """Assembler text of instruction words. Raises IsaError naming the instruction."""
    lines = []
    for number, word in enumerate(words):
        try:
            lines.append(isa.to_text(word))
        except IsaError as error:
            raise IsaError(f"instruction {number}: {error}") from None
    return lines


def read_program(path: Path, engine: str) -> tuple[InstructionSet, list[int]]:
    """Instruction set and words of a program folder, or of an image file for `engine`."""
    if path.is_dir():
        from compiler.program import Program

        program = Program.load(path)
        return ENGINES[program.manifest["engine"]].isa, [int(word) for word in program.instructions]
    isa, data = ENGINES[engine].isa, path.read_bytes()
    size = isa.bits // 8
    if len(data) % size:
        raise UsageError(f"{path}: {len(data)} bytes is no whole number of {size}-byte instructions")
    return isa, [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]


def run_disasm(args: argparse.Namespace, out: Output) -> int:
    lines = disassemble(*read_program(args.program, args.engine))
    out.result({"instructions": lines}, lines)
    return 0


def run_asm(args: argparse.Namespace, out: Output) -> int:
    isa = ENGINES[args.engine].isa
    try:
        words = assemble(isa, args.file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{args.file}: not text: {error}") from None
    except IsaError as error:
        raise IsaError(f"{args.file}: {error}") from None
    image = isa.image(words)
    args.output.write_bytes(image)
    size = len(image)
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
    isa = ENGINES[manifest["engine"]].isa
    formats = [isa.decode(word)[0] for word in words]
    lengths = "model" in manifest  # the program of a language model, the same for all lengths of text
    record: dict[str, Any] = {
        "manifest": manifest,
        "instructions": len(words),
        "instruction_bytes": len(words) * isa.bits // 8,
        "unrolled": unrolled(
            LlmParams.from_dict(manifest["params"]), words, manifest["model"]["context"], PromptPlan.of(manifest)
        ) if lengths else None,
        "opcodes": dict(Counter(fmt.name for fmt in formats).most_common()),
        "queues": dict(Counter(fmt.queue for fmt in formats).most_common()),
        "image_bytes": image_sizes(program.images),
    }
    lines = [f"{key}: {record[key]}" for key in ("instructions", "instruction_bytes")]
    if lengths:
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
