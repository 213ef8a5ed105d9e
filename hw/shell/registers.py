"""Control register map, the same for every engine: Vitis `ap_ctrl_hs`, then arguments, then status and counters."""

from dataclasses import dataclass

__all__ = ["Register", "register_map", "report_words", "to_c_header", "to_markdown"]


@dataclass(frozen=True)
class Register:
    """A 32-bit register at byte `offset`."""

    name: str
    offset: int
    writable: bool
    doc: str


def register_map(bases: int, arguments: int, results: int, counters: tuple[str, ...]) -> tuple[Register, ...]:
    """All registers of an engine.

    Args:
        bases: 64-bit base addresses (one a memory port). arguments: words handed to the engine at start.
        results: words it hands back. counters: names of its counters.
    """
    registers = [
        Register("ap_ctrl", 0x00, True, "bit 0 start (self-clearing), 1 done (cleared by reading), 2 idle, 3 ready"),
        Register("gie", 0x04, True, "bit 0: global interrupt enable"),
        Register("ier", 0x08, True, "bit 0: interrupt on done"),
        Register("isr", 0x0C, True, "bit 0: done; writing 1 clears"),
        Register("program_words", 0x10, True, "length of the program in instructions; 0: the one loaded before runs"),
        Register("program_address", 0x14, True, "byte offset of the program in the last memory port"),
        Register("report_enable", 0x18, True, "bit 0: when a run is over, status and what follows go to memory"),
    ]
    at = 0x20
    for i in range(bases):
        registers.append(Register(f"base_{i}_low", at, True, f"base address of memory port {i}, bits 31..0"))
        registers.append(Register(f"base_{i}_high", at + 4, True, f"base address of memory port {i}, bits 63..32"))
        at += 8
    registers.append(Register("report_low", at, True, "where the report goes, bits 31..0"))
    registers.append(Register("report_high", at + 4, True, "where the report goes, bits 63..32"))
    at += 8
    at = (at + 0xFF) & ~0xFF
    for i in range(arguments):
        registers.append(Register(f"argument_{i}", at + 4 * i, True, f"initial value of register {i + 1}"))
    at += 0x40
    registers.append(
        Register("status", at, False, "0 running or never started, 256 + code after HALT, else an error code")
    )
    registers.append(Register("pc", at + 4, False, "instruction behind the last one dispatched"))
    for i in range(results):
        registers.append(Register(f"result_{i}", at + 8 + 4 * i, False, f"result word {i}"))
    at += 0x40
    for i, name in enumerate(counters):
        registers.append(Register(f"count_{name}", at + 4 * i, False, f"counter: {name}"))
    return tuple(registers)


def report_words(registers: tuple[Register, ...]) -> tuple[str, ...]:
    """Names of what a report holds, a word each."""
    return tuple(register.name for register in registers if not register.writable)


def to_markdown(registers: tuple[Register, ...]) -> str:
    """The table of a register map."""
    rows = [f"| `0x{r.offset:03x}` | `{r.name}` | {'read, write' if r.writable else 'read'} | {r.doc} |"
            for r in registers]
    return "\n".join(["| offset | register | access | |", "|---|---|---|---|", *rows, ""])


def to_c_header(prefix: str, registers: tuple[Register, ...]) -> str:
    """Offsets of registers, `<PREFIX>_<NAME>`, in bytes."""
    guard = f"{prefix.upper()}_REGISTERS_H"
    lines = [f"#define {prefix.upper()}_{r.name.upper()} 0x{r.offset:03x}u /* {r.doc} */" for r in registers]
    return "\n".join([f"#ifndef {guard}", f"#define {guard}", *lines, "#endif", ""])
