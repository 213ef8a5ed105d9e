"""The binding, the harness and the build, with a small Verilog engine that can be told to break AXI rules."""

import multiprocessing
import os

import numpy as np
import pytest

import sim.build
from sim.binding import AxiViolationError, Engine, EngineHungError, RegisterError
from sim.timing import TimingModel

# Registers: 0x00 control (bit 0 start, bit 1 done), 0x10 source, 0x14 destination, 0x18 beats - 1, 0x1c fault,
# 0x20 writes go out before their address. Reads one burst on v, writes it back as one burst on v.
FAULTS = {"none": 0, "withdraw_ar": 1, "change_aw": 2, "wlast": 3, "change_w": 4, "assertion": 5, "hang": 6}
SOURCE = r"""
module copier #(parameter BITS = 128) (
  input clk, input rst, output ap_done_o,
  input [11:0] s_axi_ctl_awaddr, input s_axi_ctl_awvalid, output s_axi_ctl_awready,
  input [31:0] s_axi_ctl_wdata, input [3:0] s_axi_ctl_wstrb, input s_axi_ctl_wvalid, output s_axi_ctl_wready,
  output [1:0] s_axi_ctl_bresp, output reg s_axi_ctl_bvalid, input s_axi_ctl_bready,
  input [11:0] s_axi_ctl_araddr, input s_axi_ctl_arvalid, output s_axi_ctl_arready,
  output reg [31:0] s_axi_ctl_rdata, output [1:0] s_axi_ctl_rresp, output reg s_axi_ctl_rvalid, input s_axi_ctl_rready,
  output [63:0] m_axi_v_araddr, output [7:0] m_axi_v_arlen, output m_axi_v_arvalid, input m_axi_v_arready,
  input [BITS-1:0] m_axi_v_rdata, input [1:0] m_axi_v_rresp, input m_axi_v_rlast, input m_axi_v_rvalid,
  output m_axi_v_rready,
  output [63:0] m_axi_v_awaddr, output [7:0] m_axi_v_awlen, output m_axi_v_awvalid, input m_axi_v_awready,
  output [BITS-1:0] m_axi_v_wdata, output [BITS/8-1:0] m_axi_v_wstrb, output m_axi_v_wlast, output m_axi_v_wvalid,
  input m_axi_v_wready, input [1:0] m_axi_v_bresp, input m_axi_v_bvalid, output m_axi_v_bready,
  output [63:0] m_axi_w0_araddr, output [7:0] m_axi_w0_arlen, output m_axi_w0_arvalid, input m_axi_w0_arready,
  input [BITS-1:0] m_axi_w0_rdata, input [1:0] m_axi_w0_rresp, input m_axi_w0_rlast, input m_axi_w0_rvalid,
  output m_axi_w0_rready,
  output [63:0] m_axi_w0_awaddr, output [7:0] m_axi_w0_awlen, output m_axi_w0_awvalid, input m_axi_w0_awready,
  output [BITS-1:0] m_axi_w0_wdata, output [BITS/8-1:0] m_axi_w0_wstrb, output m_axi_w0_wlast, output m_axi_w0_wvalid,
  input m_axi_w0_wready, input [1:0] m_axi_w0_bresp, input m_axi_w0_bvalid, output m_axi_w0_bready
);
  reg [31:0] src, dst, fault, data_first; reg [7:0] len;
  reg done, error; reg [2:0] state; reg [7:0] got, sent; reg aw_sent, w_sent; reg [7:0] age;
  reg [BITS-1:0] buffer [0:255];
  localparam IDLE = 0, AR = 1, R = 2, W = 3, B = 4;
  assign ap_done_o = done;
  // control
  wire write = s_axi_ctl_awvalid && s_axi_ctl_wvalid && !s_axi_ctl_bvalid;
  assign s_axi_ctl_awready = write, s_axi_ctl_wready = write, s_axi_ctl_rresp = 0;
  assign s_axi_ctl_bresp = bad ? 2 : 0; reg bad;
  assign s_axi_ctl_arready = !s_axi_ctl_rvalid;
  wire start = write && s_axi_ctl_awaddr == 0 && s_axi_ctl_wdata[0];
  always @(posedge clk) begin
    if (write) begin
      s_axi_ctl_bvalid <= 1; bad <= s_axi_ctl_awaddr > 12'h20;
      case (s_axi_ctl_awaddr)
        12'h10: src <= s_axi_ctl_wdata;
        12'h14: dst <= s_axi_ctl_wdata;
        12'h18: len <= s_axi_ctl_wdata[7:0];
        12'h1c: fault <= s_axi_ctl_wdata;
        12'h20: data_first <= s_axi_ctl_wdata;
        default: ;
      endcase
    end else if (s_axi_ctl_bready) s_axi_ctl_bvalid <= 0;
    if (s_axi_ctl_arvalid && s_axi_ctl_arready) begin
      s_axi_ctl_rvalid <= 1;
      case (s_axi_ctl_araddr)
        12'h00: s_axi_ctl_rdata <= {28'b0, error, state == IDLE, done, 1'b0};
        12'h10: s_axi_ctl_rdata <= src;
        default: s_axi_ctl_rdata <= 32'hffffffff;
      endcase
    end else if (s_axi_ctl_rready) s_axi_ctl_rvalid <= 0;
    if (rst) begin s_axi_ctl_bvalid <= 0; s_axi_ctl_rvalid <= 0; end
  end
  // copier
  assign m_axi_v_araddr = {32'b0, src}, m_axi_v_arlen = len;
  assign m_axi_v_arvalid = state == AR && !(fault == 1 && age == 1);
  assign m_axi_v_rready = state == R;
  assign m_axi_v_awaddr = {32'b0, dst} + (fault == 2 && age == 1 ? 64'd4096 : 64'd0), m_axi_v_awlen = len;
  assign m_axi_v_awvalid = state == W && !aw_sent && (data_first == 0 || w_sent);
  assign m_axi_v_wvalid = state == W && !w_sent && (data_first != 0 || aw_sent);
  assign m_axi_v_wdata = buffer[sent] ^ (fault == 4 ? {{BITS-8{1'b0}}, age} : {BITS{1'b0}});
  assign m_axi_v_wstrb = {BITS/8{1'b1}};
  assign m_axi_v_wlast = sent == len && fault != 3;
  assign m_axi_v_bready = state == B;
  always @(posedge clk) begin
    age <= age + 1;
    case (state)
      IDLE: if (start) begin state <= AR; done <= 0; error <= 0; got <= 0; sent <= 0; aw_sent <= 0; w_sent <= 0;
                             age <= 0; end
      AR: if (m_axi_v_arvalid && m_axi_v_arready) state <= fault == 6 ? AR + 5 : R;
      R: if (m_axi_v_rvalid) begin
           buffer[got] <= m_axi_v_rdata; got <= got + 1; error <= error | m_axi_v_rresp != 0;
           if (m_axi_v_rlast) begin state <= W; age <= 0; end
         end
      W: begin
           if (m_axi_v_awvalid && m_axi_v_awready) aw_sent <= 1;
           if (m_axi_v_wvalid && m_axi_v_wready) begin sent <= sent + 1; if (sent == len) w_sent <= 1; end
           if (aw_sent && w_sent) state <= B;
         end
      B: if (m_axi_v_bvalid) begin state <= IDLE; done <= 1; error <= error | m_axi_v_bresp != 0; end
      default: ;
    endcase
    if (rst) begin state <= IDLE; done <= 0; fault <= 0; data_first <= 0; len <= 0; end
  end
  always @(posedge clk) if (!rst) assert (!(fault == 5 && state == R));
  assign m_axi_w0_araddr = 0, m_axi_w0_arlen = 0, m_axi_w0_arvalid = 0, m_axi_w0_rready = 0;
  assign m_axi_w0_awaddr = 0, m_axi_w0_awlen = 0, m_axi_w0_awvalid = 0, m_axi_w0_bready = 0;
  assign m_axi_w0_wdata = 0, m_axi_w0_wstrb = 0, m_axi_w0_wlast = 0, m_axi_w0_wvalid = 0;
endmodule
"""


def make(bits=128, *, trace=False, **options):
    text = SOURCE.replace("BITS = 128", f"BITS = {bits}")
    return Engine.build([text], "copier", ports={"w0": bits, "v": bits}, trace=trace, **options)


def copy(engine, beats, source=0x1000, target=0x3000, fault="none", data_first=0, limit=100_000):
    for address, value in ((0x10, source), (0x14, target), (0x18, beats - 1), (0x1C, FAULTS[fault]),
                           (0x20, data_first)):
        engine.write_register(address, value)
    engine.start()
    return engine.run(limit)


@pytest.mark.parametrize("timing", ["ideal", "random", "hbm2", "ddr4"])
@pytest.mark.parametrize("data_first", [0, 1])
def test_copies_under_every_timing(timing, data_first):
    rng = np.random.default_rng(1)
    for seed in range(1, 12 if timing == "random" else 2):
        engine = make(timing=timing, seed=seed)
        for beats in (1, 2, 7, 256):
            data = rng.integers(0, 256, beats * 16, dtype=np.uint8)
            engine.write_memory("v", 0x1000, data)
            assert copy(engine, beats, data_first=data_first) > 0
            assert engine.io.ap_done_o == 1
            assert engine.read_memory("v", 0x3000, data.size) == data.tobytes()
        port = engine.statistics()["ports"]["v"]
        assert (port["read_bursts"], port["write_bursts"]) == (4, 4)
        assert port["read_beats"] == port["written_beats"] == 266
        assert port["written_bytes"] == 266 * 16
        assert port["outstanding_reads"] == port["outstanding_writes"] == port["hazards"] == 0
        assert not any(engine.statistics()["ports"]["w0"].values())


@pytest.mark.parametrize("bits", [32, 64, 512, 1024])
def test_every_width(bits):
    engine = make(bits, timing="random")
    beats = min(256, 4096 // (bits // 8))
    data = np.random.default_rng(2).integers(0, 256, beats * bits // 8, dtype=np.uint8)
    engine.write_memory("v", 0x1000, data)
    copy(engine, beats)
    assert engine.read_memory("v", 0x3000, data.size) == data.tobytes()
    assert engine.beat_bytes == {"w0": bits // 8, "v": bits // 8}


def test_latency_is_the_timing_models():
    cycles = {latency: copy(make(timing=TimingModel.ideal(latency_cycles=latency)), 4) for latency in (4, 24)}
    assert cycles[24] - cycles[4] == 2 * 20  # one read, one write response


@pytest.mark.parametrize(("fault", "message"), [
    ("withdraw_ar", "port v: arvalid withdrawn"), ("change_aw", "port v: aw payload changed"),
    ("wlast", "port v: wlast is 0 at beat 3 of 4"), ("change_w", "port v: w payload changed"),
    ("assertion", "assertion"),
])
def test_rule_breakers_are_caught(fault, message):
    for seed in range(1, 40):  # a fault needs a stall at the right moment
        engine = make(timing=TimingModel.random(seed=seed, stall=0.6))
        try:
            copy(engine, 4, fault=fault)
        except AxiViolationError as error:
            assert message in str(error)  # noqa: PT017
            break
    else:
        pytest.fail("not caught")
    with pytest.raises(AxiViolationError):  # it stays
        engine.clock()
    engine.reset()
    copy(engine, 4)


@pytest.mark.parametrize(("source", "target", "message"), [
    (0x1FF0, 0x3000, "ar burst at 0x1ff0 of 2 beats crosses 4 KiB"),
    (0x1000, 0x3FF0, "aw burst at 0x3ff0 of 2 beats crosses 4 KiB"),
    (0x1008, 0x3000, "araddr 0x1008 is not aligned"),
])
def test_illegal_addresses_are_caught(source, target, message):
    with pytest.raises(AxiViolationError, match=message):
        copy(make(), 2, source, target)


def test_outside_the_memory_is_an_error_response():
    engine = make(memory_bytes={"v": 0x2000, "w0": 0x1000})
    copy(engine, 2, 0x1000, 0x2000)
    assert engine.read_register(0) & 0b1010 == 0b1010  # done, error
    assert engine.statistics()["ports"]["v"]["write_errors"] == 2
    copy(engine, 2, 0x5000, 0x1000)
    assert engine.read_register(0) & 0b1000
    assert engine.statistics()["ports"]["v"]["read_errors"] == 2
    copy(engine, 2, 0x1000, 0x1100)
    assert not engine.read_register(0) & 0b1000
    with pytest.raises(ValueError, match="outside its 8192 bytes"):
        engine.write_memory("v", 0x1FFF, b"12")


def test_hang_names_the_counters():
    engine = make()
    with pytest.raises(EngineHungError, match="no ap_done_o after 500 cycles") as caught:
        copy(engine, 4, fault="hang", limit=500)
    assert caught.value.statistics["ports"]["v"]["outstanding_reads"] == 1
    assert "read_stall_cycles" in str(caught.value)


def test_registers():
    engine = make()
    engine.write_register(0x10, 0xDEADBEEF)
    assert engine.read_register(0x10) == 0xDEADBEEF
    with pytest.raises(RegisterError, match="error response"):
        engine.write_register(0x40, 0)
    with pytest.raises(ValueError, match="multiple of 4"):
        engine.read_register(3)
    before = engine.cycle
    engine.clock(50_000)
    assert engine.cycle - before == 50_000


def test_memory_images_are_sparse_and_filled():
    engine = make(fill=0xC3, memory_bytes=1 << 40)
    address = (1 << 39) + 65536 - 3
    engine.write_memory("w0", address, np.arange(3, dtype="<u2"))
    assert engine.read_memory("w0", address - 1, 8) == bytes([0xC3, 0, 0, 1, 0, 2, 0, 0xC3])
    assert engine.read_memory("v", address, 2) == b"\xc3\xc3"
    engine.reset()
    assert engine.read_memory("w0", address, 6)[2] == 1
    with pytest.raises(ValueError, match="port 'w1'"):
        engine.read_memory("w1", 0, 1)


def test_two_engines_in_one_process_are_independent():
    first, second, wide = make(timing="hbm2"), make(timing="hbm2"), make(512)
    first.write_memory("v", 0x1000, b"a" * 64)
    second.write_memory("v", 0x1000, b"b" * 64)
    wide.write_memory("v", 0x1000, b"c" * 256)
    assert copy(first, 4) == copy(second, 4)
    copy(wide, 4)
    assert first.read_memory("v", 0x3000, 64) == b"a" * 64
    assert second.read_memory("v", 0x3000, 64) == b"b" * 64
    assert wide.read_memory("v", 0x3000, 256) == b"c" * 256


def test_trace(tmp_path):
    with make(trace=True) as engine:
        engine.trace(tmp_path / "wave.vcd")
        copy(engine, 4)
        engine.trace(None)
        assert "m_axi_v_araddr" in (tmp_path / "wave.vcd").read_text()
    with pytest.raises(RuntimeError, match="without trace"):
        make().trace(tmp_path / "no.vcd")


def test_arguments():
    with pytest.raises(ValueError, match="port v of 96 bits"):
        Engine.build([SOURCE], "copier", {"w0": 128, "v": 96})
    with pytest.raises(ValueError, match="at least one"):
        Engine.build([SOURCE], "copier", {})
    with pytest.raises(ValueError, match="timing 'slow'"):
        make(timing="slow")
    with pytest.raises(ValueError, match="different clocks"):
        make(timing={"v": "ddr4", "w0": "hbm2"})
    make(timing={"v": "ddr4", "w0": "hbm2"}, clock_mhz=225)


def test_failing_and_missing_tools(monkeypatch, tmp_path):
    monkeypatch.setattr(sim.build, "BUILD", tmp_path / "rtl")
    with pytest.raises(sim.build.ToolFailedError, match="verilator failed") as caught:
        sim.build.build_engine(["module broken(; endmodule"], "broken", {"v": 32})
    assert caught.value.log.is_file()
    assert "syntax error" in str(caught.value)
    with pytest.raises(sim.build.ToolFailedError, match=r"IMPLICIT|UNDRIVEN"):  # a warning not waived is fatal
        sim.build.build_engine(["module warn(output y); wire a; assign y = a; endmodule"], "warn", {"v": 32})
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(sim.build.ToolMissingError, match="'perl'"):
        sim.build.build_engine([SOURCE], "copier", {"w0": 128, "v": 128})


def _build_memory(path):
    sim.build.BUILD = path
    return str(sim.build.build_memory_model())


def test_concurrent_builds_share_one(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.map(_build_memory, [tmp_path / "rtl"] * 3)
    assert len(set(results)) == 1
    assert sorted(path.suffix for path in (tmp_path / "rtl").iterdir()) == ["", ".lock"]
