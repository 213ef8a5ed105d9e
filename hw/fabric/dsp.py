"""DSP48E2 as an explicit primitive (AMD UG579); hw/fabric/dsp48e2.v is its twin for simulation."""

from pathlib import Path

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Signal, Value

__all__ = ["TWIN", "Z_P", "Z_PCIN", "Z_ZERO", "M", "dsp48e2"]

TWIN = Path(__file__).with_name("dsp48e2.v")
"""The primitive's behavioural twin, for simulators."""
M = 0b000000101
"""OPMODE with X and Y from the multiplier, W = 0; or in one of the Z choices below."""
Z_ZERO = 0b000 << 4
Z_PCIN = 0b001 << 4
Z_P = 0b010 << 4
ADD_D = 0b00100
"""INMODE: A + D goes to the multiplier."""


def dsp48e2(*, a: Value, b: Value, opmode: Value, d: Value | None = None, input_registers: int = 1,
            pcin: Value | None = None, p: Value | None = None, pcout: Value | None = None) -> Instance:
    """P = (PCIN or 0 or P) + a * b, or with the pre-adder + (a + d) * b.

    Args:
        a, d: up to signed(27). b: up to signed(18).
        input_registers: 1 or 2 registers on A and B; then M and P: latency 3 or 4. With `d` the latency is 4: A and D,
            their sum, M and P; B has two registers.
        opmode: 9 bits, registered once, so it belongs one cycle before P.
    """
    enabled = {f"i_{name}": 1 for name in ("CEA1", "CEA2", "CEB1", "CEB2", "CEM", "CEP", "CECTRL", "CEALUMODE",
                                           "CEINMODE", "CECARRYIN", "CED", "CEAD")}
    unused = {f"i_{name}": 0 for name in ("CEC", "RSTA", "RSTB", "RSTC", "RSTD", "RSTM", "RSTP", "RSTCTRL",
                                          "RSTALUMODE", "RSTINMODE", "RSTALLCARRYIN", "CARRYIN")}
    adds = d is not None
    a_registers, b_registers = (1, 2) if adds else (input_registers, input_registers)
    return Instance(
        "DSP48E2",
        p_AREG=a_registers, p_BREG=b_registers, p_ACASCREG=a_registers, p_BCASCREG=b_registers,
        p_CREG=1, p_DREG=1, p_ADREG=1, p_MREG=1, p_PREG=1, p_OPMODEREG=1, p_AMULTSEL="AD" if adds else "A",
        i_CLK=ClockSignal(), i_A=_extend(a, 30), i_B=_extend(b, 18), i_OPMODE=opmode,
        i_PCIN=Const(0, 48) if pcin is None else pcin,
        i_C=Const(0, 48), i_D=Const(0, 27) if d is None else _extend(d, 27), i_ALUMODE=Const(0, 4),
        i_INMODE=Const(ADD_D if adds else 0, 5), i_CARRYINSEL=Const(0, 3),
        o_P=Signal(48, name="unused_p") if p is None else p,
        o_PCOUT=Signal(48, name="unused_pcout") if pcout is None else pcout,
        **enabled, **unused,
    )


def _extend(value: Value, width: int) -> Value:
    value = Value.cast(value)
    top = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value[:], top.replicate(width - len(value)))
