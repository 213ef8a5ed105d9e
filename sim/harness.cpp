// A verilated engine, its memories and its host, behind a C interface for ctypes (sim/binding.py).
//
// Two builds: with LACUNA_ENGINE, which includes the verilated model and the generated `ports.h`
// (LACUNA_PORTS(X) = X(name, prefix, bytes of a beat)...), and without, for the timing model alone.
//
// A cycle: the memories drive their outputs from state; clk falls and the engine settles; the memories and the host
// see the settled signals and take the handshakes; clk rises.

#include <cstdio>
#include <exception>
#include <stdexcept>

#include "memory.h"

using lacuna::Counters;
using lacuna::Port;
using lacuna::Timing;

#ifdef LACUNA_ENGINE
#include "Vengine.h"
#include "ports.h"
#include "verilated.h"
#ifdef LACUNA_TRACE
#include "verilated_vcd_c.h"
#endif

// Errors inside the model become exceptions, which the C interface turns into violations.
void vl_finish(const char* file, int line, const char*) {
    throw std::runtime_error(std::string("$finish in ") + file + ":" + std::to_string(line));
}
void vl_stop(const char* file, int line, const char*) {
    throw std::runtime_error(std::string("assertion or $stop in ") + file + ":" + std::to_string(line));
}
void vl_fatal(const char* file, int line, const char*, const char* text) {
    throw std::runtime_error(std::string(text) + " in " + file + ":" + std::to_string(line));
}

namespace {

constexpr uint64_t LITE_LIMIT = 10000;  // cycles that a register access may take

enum Status { OK = 0, VIOLATION = 1, LIMIT = 2, ERROR_RESPONSE = 3 };

struct Engine {
    std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    std::unique_ptr<Vengine> top;
    std::vector<std::unique_ptr<Port>> ports;
    std::string violation, message;
    double clock_ns = 1000.0 / 225;
    uint64_t cycle = 0;
    bool in_reset = false;
    std::vector<uint64_t> events;  // changes of busy_o: cycle * 256 + unit * 2 + its new level
    size_t event_limit = 0;
    uint64_t busy = 0;
#ifdef LACUNA_TRACE
    std::unique_ptr<VerilatedVcdC> trace;
#endif

    explicit Engine(int seed) {
        context->randReset(2);  // matters only to a model built with --x-initial unique
        context->randSeed(seed);
#ifdef LACUNA_TRACE
        context->traceEverOn(true);
#endif
        top.reset(new Vengine(context.get(), "engine"));
#define LACUNA_ADD(NAME, PREFIX, BYTES)                                                                     \
    ports.emplace_back(new Port(#NAME, BYTES, &violation));                                                 \
    ports.back()->pins = {&top->PREFIX##araddr, &top->PREFIX##awaddr, &top->PREFIX##arlen,                  \
                          &top->PREFIX##arvalid, &top->PREFIX##rready, &top->PREFIX##awlen,                 \
                          &top->PREFIX##awvalid, &top->PREFIX##wlast, &top->PREFIX##wvalid,                 \
                          &top->PREFIX##bready, &top->PREFIX##wdata, &top->PREFIX##wstrb,                   \
                          &top->PREFIX##arready, &top->PREFIX##rresp, &top->PREFIX##rlast,                  \
                          &top->PREFIX##rvalid, &top->PREFIX##awready, &top->PREFIX##wready,                \
                          &top->PREFIX##bresp, &top->PREFIX##bvalid, &top->PREFIX##rdata};                  \
    static_assert(sizeof(top->PREFIX##rdata) == BYTES, "width of " #PREFIX "rdata");
        LACUNA_PORTS(LACUNA_ADD)
        quiet();
        top->clk = 0, top->rst = 1;
    }

    ~Engine() {
#ifdef LACUNA_TRACE
        if (trace) trace->close();
#endif
        top->final();
    }

    void quiet() {
        top->s_axi_ctl_awvalid = top->s_axi_ctl_wvalid = top->s_axi_ctl_bready = 0;
        top->s_axi_ctl_arvalid = top->s_axi_ctl_rready = 0;
    }

    // The low phase: inputs are set, outputs settle. Then the caller may look, then rise().
    void settle() {
        double now = double(cycle) * clock_ns;
        for (auto& port : ports) port->drive(now);
        top->clk = 0;
        top->eval();
        dump(0);
        if (in_reset) return;
        for (auto& port : ports) port->observe(now);
        if (!violation.empty()) throw std::runtime_error(violation);
    }

    // The signals of the cycle are settled.
    void record() {
#ifdef LACUNA_BUSY
        uint64_t now = top->busy_o;
        for (uint64_t changed = now ^ busy, unit = 0; changed && events.size() < event_limit; changed >>= 1, ++unit)
            if (changed & 1) events.push_back(cycle * 256 + unit * 2 + (now >> unit & 1));
        busy = now;
#endif
    }

    void rise() {
        if (events.size() < event_limit) record();
        top->clk = 1;
        top->eval();
        dump(1);
        ++cycle;
    }

    void dump(int phase) {
#ifdef LACUNA_TRACE
        if (trace) trace->dump(2 * cycle + unsigned(phase));
#else
        (void)phase;
#endif
    }

    void reset(uint64_t cycles) {
        quiet();
        violation.clear(), message.clear();
        for (auto& port : ports) port->clear();
        top->rst = 1, in_reset = true;
        for (uint64_t i = 0; i < cycles; ++i) settle(), rise();
        top->clk = 0;
        top->eval();
        if (cycles)
            for (auto& port : ports) port->observe_reset();
        top->rst = 0, in_reset = false, cycle = 0;
        for (auto& port : ports) port->clear();
        if (!violation.empty()) throw std::runtime_error(violation);
    }

    int register_write(uint32_t address, uint32_t value, uint32_t strobe) {
        bool address_done = false, data_done = false, answered = false;
        int response = 0;
        for (uint64_t i = 0; i < LITE_LIMIT; ++i) {
            top->s_axi_ctl_awaddr = address & 0xfff, top->s_axi_ctl_awvalid = !address_done;
            top->s_axi_ctl_wdata = value, top->s_axi_ctl_wstrb = strobe & 15, top->s_axi_ctl_wvalid = !data_done;
            top->s_axi_ctl_bready = 1;
            settle();
            bool answer = top->s_axi_ctl_bvalid;
            if (answer && !(address_done && data_done)) throw std::runtime_error("s_axi_ctl: bvalid before its write");
            if (answer) response = top->s_axi_ctl_bresp, answered = true;
            address_done |= top->s_axi_ctl_awready, data_done |= top->s_axi_ctl_wready;
            rise();
            if (answered) break;
        }
        quiet();
        return !answered ? LIMIT : response ? ERROR_RESPONSE : OK;
    }

    int register_read(uint32_t address, uint32_t* value) {
        bool address_done = false, answered = false;
        int response = 0;
        for (uint64_t i = 0; i < LITE_LIMIT; ++i) {
            top->s_axi_ctl_araddr = address & 0xfff, top->s_axi_ctl_arvalid = !address_done;
            top->s_axi_ctl_rready = 1;
            settle();
            bool answer = top->s_axi_ctl_rvalid;
            if (answer && !address_done) throw std::runtime_error("s_axi_ctl: rvalid before its address");
            if (answer) *value = top->s_axi_ctl_rdata, response = top->s_axi_ctl_rresp, answered = true;
            address_done |= top->s_axi_ctl_arready;
            rise();
            if (answered) break;
        }
        quiet();
        return !answered ? LIMIT : response ? ERROR_RESPONSE : OK;
    }
};

template <class Body>
int guarded(void* handle, Body body) {
    auto* engine = static_cast<Engine*>(handle);
    if (!engine->message.empty()) return VIOLATION;  // stays until reset
    try {
        return body(*engine);
    } catch (const std::exception& error) {
        engine->message = "cycle " + std::to_string(engine->cycle) + ": " + error.what();
        return VIOLATION;
    }
}

Engine& engine_of(void* handle) { return *static_cast<Engine*>(handle); }

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API void* lacuna_create(int seed) {
    try {
        return new Engine(seed);
    } catch (const std::exception& error) {
        fprintf(stderr, "lacuna: %s\n", error.what());
        return nullptr;
    }
}
API void lacuna_destroy(void* handle) {
    try {
        delete static_cast<Engine*>(handle);
    } catch (const std::exception&) {  // a final block's $stop
    }
}
API int lacuna_port_count(void* handle) { return int(engine_of(handle).ports.size()); }
API const char* lacuna_port_name(void* handle, int port) { return engine_of(handle).ports[size_t(port)]->name.c_str(); }
API int lacuna_beat_bytes(void* handle, int port) { return int(engine_of(handle).ports[size_t(port)]->beat_bytes()); }
API const char* lacuna_message(void* handle) { return engine_of(handle).message.c_str(); }
API uint64_t lacuna_cycle(void* handle) { return engine_of(handle).cycle; }
API int lacuna_done(void* handle) { return engine_of(handle).top->ap_done_o; }

API void lacuna_configure(void* handle, int port, const Timing* timing, uint64_t size, int fill) {
    Engine& engine = engine_of(handle);
    Port& target = *engine.ports[size_t(port)];
    target.image.size = size, target.image.fill = fill;
    target.configure(*timing);
    engine.clock_ns = timing->clock_ns;
}

API int lacuna_reset(void* handle, uint64_t cycles) {
    engine_of(handle).message.clear();
    return guarded(handle, [&](Engine& engine) { engine.reset(cycles); return OK; });
}

API int lacuna_step(void* handle, uint64_t cycles) {
    return guarded(handle, [&](Engine& engine) {
        for (uint64_t i = 0; i < cycles; ++i) engine.settle(), engine.rise();
        return OK;
    });
}

// Until ap_done_o; LIMIT when it did not come. A done that is high already returns at once.
API int lacuna_run(void* handle, uint64_t limit) {
    return guarded(handle, [&](Engine& engine) {
        for (uint64_t i = 0; i < limit && !engine.top->ap_done_o; ++i) engine.settle(), engine.rise();
        return engine.top->ap_done_o ? OK : LIMIT;
    });
}

API int lacuna_register_write(void* handle, uint32_t address, uint32_t value, uint32_t strobe) {
    return guarded(handle, [&](Engine& engine) { return engine.register_write(address, value, strobe); });
}
API int lacuna_register_read(void* handle, uint32_t address, uint32_t* value) {
    return guarded(handle, [&](Engine& engine) { return engine.register_read(address, value); });
}
API void lacuna_memory_write(void* handle, int port, uint64_t address, const uint8_t* data, uint64_t count) {
    engine_of(handle).ports[size_t(port)]->image.write(address, data, count);
}
API void lacuna_memory_read(void* handle, int port, uint64_t address, uint8_t* data, uint64_t count) {
    engine_of(handle).ports[size_t(port)]->image.read(address, data, count);
}
API const Counters* lacuna_counters(void* handle, int port) {
    return &engine_of(handle).ports[size_t(port)]->counters;
}

// From now on; forgets what was recorded before.
API void lacuna_record(void* handle, uint64_t limit) {
    Engine& engine = engine_of(handle);
    engine.events.clear(), engine.event_limit = limit, engine.busy = 0;
}
API const uint64_t* lacuna_events(void* handle, uint64_t* count) {
    Engine& engine = engine_of(handle);
    *count = engine.events.size();
    return engine.events.data();
}

API int lacuna_trace(void* handle, const char* path) {
#ifdef LACUNA_TRACE
    Engine& engine = engine_of(handle);
    if (engine.trace) engine.trace->close();
    engine.trace.reset();
    if (!path) return 1;
    engine.trace.reset(new VerilatedVcdC);
    engine.top->trace(engine.trace.get(), 99);
    engine.trace->open(path);
    return 1;
#else
    (void)handle, (void)path;
    return 0;
#endif
}
#else
#define API extern "C" __attribute__((visibility("default")))
#endif

API uint64_t lacuna_timing_bytes() { return sizeof(Timing); }
API uint64_t lacuna_counters_bytes() { return sizeof(Counters); }

// A synthetic master on one port. Bursts of `burst` beats to consecutive (`random` 0) or random addresses of
// [0, span), a share `writes` of them writes, as many as the port takes and `outstanding` allows.
// Returns the cycles until `count` bursts were answered (0: broken rule, text on stderr); `latency` becomes the
// cycles from the first address handshake to its first data beat or response.
API uint64_t lacuna_timing_stream(const Timing* timing, uint64_t beat_bytes, uint64_t count, uint64_t burst,
                                  uint64_t outstanding, int random, double writes, uint64_t span, uint64_t seed,
                                  uint64_t* latency, Counters* counters) {
    std::string violation;
    auto port = std::make_unique<Port>("synthetic", beat_bytes, &violation);
    uint64_t araddr = 0, awaddr = 0;
    uint8_t arlen = uint8_t(burst - 1), awlen = arlen, arvalid = 0, rready = 1, awvalid = 0, wlast = 0, wvalid = 0;
    uint8_t bready = 1, arready = 0, rresp = 0, rlast = 0, rvalid = 0, awready = 0, wready = 0, bresp = 0, bvalid = 0;
    uint8_t wdata[lacuna::MAX_BEAT]{}, wstrb[lacuna::MAX_BEAT / 8], rdata[lacuna::MAX_BEAT];
    std::memset(wstrb, 0xff, sizeof wstrb);
    port->pins = {&araddr, &awaddr, &arlen, &arvalid, &rready, &awlen, &awvalid, &wlast, &wvalid, &bready, wdata, wstrb,
                  &arready, &rresp, &rlast, &rvalid, &awready, &wready, &bresp, &bvalid, rdata};
    port->image.size = span;
    port->configure(*timing);
    std::mt19937_64 generator(seed);
    uint64_t burst_bytes = burst * beat_bytes, slots = span / burst_bytes;
    uint64_t issued = 0, finished = 0, beats_owed = 0, beats_sent = 0, first = 0;
    bool next_is_write = false, chosen = false, answered = false, started = false;
    uint64_t next_address = 0;
    for (uint64_t cycle = 0;; ++cycle) {
        if (!chosen && issued < count) {
            chosen = true;
            next_address = (random ? generator() % slots : issued % slots) * burst_bytes;
            next_is_write = double(generator() >> 11) * 0x1p-53 < writes;
        }
        if (chosen && (arvalid || awvalid || issued - finished < outstanding)) {
            (next_is_write ? awvalid : arvalid) = 1;
            (next_is_write ? awaddr : araddr) = next_address;
        }
        wvalid = beats_owed > beats_sent;
        wlast = (beats_sent + 1) % burst == 0;
        double now = double(cycle) * timing->clock_ns;
        port->drive(now);
        port->observe(now);
        if (!violation.empty()) {
            fprintf(stderr, "lacuna: %s\n", violation.c_str());
            return 0;
        }
        if ((arvalid && arready) || (awvalid && awready)) {
            if (!started) first = cycle, started = true;
            if (awvalid) beats_owed += burst;
            arvalid = awvalid = 0, chosen = false, ++issued;
        }
        if (wvalid && wready) ++beats_sent;
        if (!answered && (rvalid || bvalid)) *latency = cycle - first, answered = true;
        finished += uint64_t(rvalid && rlast) + uint64_t(bvalid);
        if (finished == count) {
            *counters = port->counters;
            return cycle + 1 - first;
        }
    }
}
