// Memory behind one AXI4 master port of an engine: a sparse byte image, a timing model and an AXI rule checker.
//
//   Image      bytes, in pages allocated on demand
//   Timing     the constants of a model; sim/timing.py fills it, field by field in this order, all doubles
//   Scheduler  when does each beat complete ("ideal", "random" or a DRAM channel)
//   Port       the AXI4 subordinate: drive() sets its outputs before the clock's low phase is evaluated, observe()
//              sees the settled signals of the cycle, checks them and takes the handshakes
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace lacuna {

constexpr uint64_t PAGE = 65536;
constexpr int RESPONSE_OKAY = 0, RESPONSE_SLVERR = 2;
constexpr size_t MAX_BEAT = 128;  // bytes of a 1,024-bit port

struct Timing {
    double kind;       // 0 ideal, 1 random, 2 DRAM
    double clock_ns;   // period of the engine's clock
    double seed;       // random
    double read_bursts, write_bursts;  // bursts a port takes before it lowers arready, awready
    double latency_cycles;             // ideal: from a handshake to the first beat; random: the largest
    double stall;                      // random: probability that a ready is low or a beat is held back in a cycle
    // A DRAM channel. Times in ns. Address bits: three fields, group low, bank, group high, then the row.
    double atom_bytes, atom_ns;  // one column access
    double group_low_shift, group_low_bits, bank_shift, bank_bits, group_high_shift, group_high_bits, row_shift;
    double read_latency;   // column command to the beat at the port, everything between included
    double write_latency;  // column command to the response at the port
    double rcd, rp, ras, rrd, faw, ccd_long, read_to_precharge, write_to_precharge;
    double read_to_write, write_to_read;  // column command to column command of the other direction
    double refresh_interval, refresh;
    double window;  // column accesses that the controller looks ahead to open rows
    double batch;   // beats of one direction before the other, waiting one gets its turn
};

class Image {
public:
    uint64_t size = uint64_t(1) << 28;
    int fill = 0;

    bool inside(uint64_t address, uint64_t count) const { return address <= size && count <= size - address; }

    void write(uint64_t address, const uint8_t* data, uint64_t count) {
        for (uint64_t done = 0; done < count;) {
            uint64_t offset = (address + done) % PAGE, part = std::min(count - done, PAGE - offset);
            std::memcpy(page(address + done) + offset, data + done, part);
            done += part;
        }
    }

    void read(uint64_t address, uint8_t* data, uint64_t count) const {
        for (uint64_t done = 0; done < count;) {
            uint64_t offset = (address + done) % PAGE, part = std::min(count - done, PAGE - offset);
            auto found = pages_.find((address + done) / PAGE);
            if (found == pages_.end()) std::memset(data + done, fill, part);
            else std::memcpy(data + done, found->second.get() + offset, part);
            done += part;
        }
    }

    void write_strobed(uint64_t address, const uint8_t* data, const uint8_t* strobe, uint64_t count) {
        uint8_t* target = page(address) + address % PAGE;  // a beat is aligned, so it lies in one page
        for (uint64_t i = 0; i < count; ++i)
            if (strobe[i / 8] >> (i % 8) & 1) target[i] = data[i];
    }

private:
    uint8_t* page(uint64_t address) {
        auto& slot = pages_[address / PAGE];
        if (!slot) {
            slot.reset(new uint8_t[PAGE]);
            std::memset(slot.get(), fill, PAGE);
        }
        return slot.get();
    }
    std::unordered_map<uint64_t, std::unique_ptr<uint8_t[]>> pages_;
};

// Completion times, in order within each direction. Beats are submitted one by one.
class Scheduler {
public:
    std::deque<double> read_done, write_done;  // completion time of each scheduled beat that nobody took yet

    void configure(const Timing& timing, uint64_t beat_bytes) {
        timing_ = timing;
        beat_bytes_ = beat_bytes;
        bits_[0] = unsigned(timing.group_low_bits), bits_[1] = unsigned(timing.bank_bits);
        bits_[2] = unsigned(timing.group_high_bits);
        shift_[0] = unsigned(timing.group_low_shift), shift_[1] = unsigned(timing.bank_shift);
        shift_[2] = unsigned(timing.group_high_shift);
        clear();
    }

    void clear() {
        read_done.clear(), write_done.clear(), reads_.clear(), writes_.clear();
        random_.seed(uint64_t(timing_.seed));
        banks_.assign(size_t(1) << (bits_[0] + bits_[1] + bits_[2]), Bank());
        group_free_.assign(size_t(1) << (bits_[0] + bits_[2]), 0);
        columns_.assign(std::max<size_t>(1, size_t(timing_.window)), 0);
        activates_.fill(-1e9);
        column_count_ = activate_count_ = 0;
        column_free_ = 0, last_read_ = last_write_ = -1e9;
        next_refresh_ = timing_.refresh_interval;
        last_atom_ = ~uint64_t(0), writing_ = false, batch_ = 0;
    }

    size_t pending_writes() const { return writes_.size(); }

    void submit(bool write, uint64_t address, double now) {
        auto& done = write ? write_done : read_done;
        if (timing_.kind == 2) {
            (write ? writes_ : reads_).push_back({address, now});
            return;
        }
        double cycles = timing_.latency_cycles;
        if (timing_.kind == 1) cycles = double(random_() % uint64_t(timing_.latency_cycles + 1));
        done.push_back(std::max(now + cycles * timing_.clock_ns, done.empty() ? 0.0 : done.back()));
    }

    void advance(double now) {
        while (column_free_ <= now + timing_.clock_ns && !(reads_.empty() && writes_.empty())) {
            bool both = !reads_.empty() && !writes_.empty();
            bool write = both ? (batch_ < timing_.batch ? writing_ : !writing_) : reads_.empty();
            if (write != writing_) writing_ = write, batch_ = 0;
            ++batch_;
            auto& queue = write ? writes_ : reads_;
            Request request = queue.front();
            queue.pop_front();
            double column = 0;
            uint64_t atom = uint64_t(timing_.atom_bytes);
            for (uint64_t at = request.address / atom; at <= (request.address + beat_bytes_ - 1) / atom; ++at)
                column = access(write, at * atom, request.arrival);
            (write ? write_done : read_done).push_back(column + (write ? timing_.write_latency : timing_.read_latency));
        }
    }

private:
    struct Request { uint64_t address; double arrival; };
    struct Bank { bool open = false; uint64_t row = 0; double activate = 0, precharge = 0, column = 0; };  // earliest

    uint64_t field(uint64_t address, int which) const {
        return address >> shift_[which] & ((uint64_t(1) << bits_[which]) - 1);
    }

    // One column access; returns the time of its command.
    double access(bool write, uint64_t address, double arrival) {
        const Timing& t = timing_;
        if (address == last_atom_ && last_was_write_ == write && arrival <= last_column_)
            return last_column_;  // beats narrower than an atom, there when it was accessed
        double start = std::max(arrival, columns_[column_count_ % columns_.size()]);
        while (next_refresh_ <= std::max(start, column_free_)) refresh(std::max(start, column_free_));
        uint64_t group = field(address, 0) | field(address, 2) << bits_[0];
        Bank& bank = banks_[group << bits_[1] | field(address, 1)];
        uint64_t row = address >> unsigned(t.row_shift);
        if (!bank.open || bank.row != row) {
            double activate = bank.open ? std::max(start, bank.precharge) + t.rp : start;
            activate = std::max({activate, bank.activate, activates_[(activate_count_ + 3) % 4] + t.rrd,
                                 activates_[activate_count_ % 4] + t.faw});
            activates_[activate_count_++ % 4] = activate;
            bank = {true, row, activate + t.ras + t.rp, activate + t.ras, activate + t.rcd};
        }
        double column = std::max({start, bank.column, column_free_, group_free_[group],
                                  write ? last_read_ + t.read_to_write : last_write_ + t.write_to_read});
        column_free_ = column + t.atom_ns;
        group_free_[group] = column + t.ccd_long;
        bank.precharge = std::max(bank.precharge, column + (write ? t.write_to_precharge : t.read_to_precharge));
        (write ? last_write_ : last_read_) = column;
        columns_[column_count_++ % columns_.size()] = column;
        last_atom_ = address, last_was_write_ = write, last_column_ = column;
        return column;
    }

    // All banks: precharge, refresh. Refreshes of a long idle time are skipped but for the last.
    void refresh(double now) {
        const Timing& t = timing_;
        if (now > next_refresh_ + t.refresh_interval)
            next_refresh_ += double(int64_t((now - next_refresh_) / t.refresh_interval)) * t.refresh_interval;
        double start = next_refresh_;
        for (const Bank& bank : banks_)
            if (bank.open) start = std::max(start, bank.precharge);
        double end = start + t.rp + t.refresh;
        for (Bank& bank : banks_) bank = {false, 0, end, end, end};
        column_free_ = std::max(column_free_, end);
        next_refresh_ += t.refresh_interval;
        last_atom_ = ~uint64_t(0);
    }

    Timing timing_{};
    uint64_t beat_bytes_ = 64;
    unsigned bits_[3]{}, shift_[3]{};
    std::mt19937_64 random_;
    std::deque<Request> reads_, writes_;
    std::vector<Bank> banks_;
    std::vector<double> group_free_, columns_;
    std::array<double, 4> activates_{};
    uint64_t column_count_ = 0, activate_count_ = 0, last_atom_ = 0;
    double column_free_ = 0, last_read_ = 0, last_write_ = 0, last_column_ = 0, next_refresh_ = 0, batch_ = 0;
    bool last_was_write_ = false, writing_ = false;
};

// Where the signals of a port are: fields of the verilated model, or of a synthetic master.
struct Pins {
    // from the engine
    const uint64_t *araddr, *awaddr;
    const uint8_t *arlen, *arvalid, *rready, *awlen, *awvalid, *wlast, *wvalid, *bready;
    const void *wdata, *wstrb;
    // to the engine
    uint8_t *arready, *rresp, *rlast, *rvalid, *awready, *wready, *bresp, *bvalid;
    void* rdata;
};

// Counters; sim/binding.py names them in this order.
struct Counters {
    uint64_t read_bursts, read_beats, write_bursts, written_beats, written_bytes;
    uint64_t read_stall_cycles;      // rvalid and not rready: the engine does not take data
    uint64_t read_wait_cycles;       // reads outstanding, no data on offer: the engine waits for memory
    uint64_t address_wait_cycles;    // arvalid and not arready
    uint64_t write_wait_cycles;      // awvalid and not awready, or wvalid and not wready
    uint64_t response_wait_cycles;   // bvalid and not bready
    uint64_t read_errors, write_errors;  // beats answered with SLVERR: outside the memory
    uint64_t hazards;                // bursts taken while an overlapping burst of the other direction was outstanding
    uint64_t outstanding_reads, outstanding_writes;          // bursts, now
    uint64_t most_outstanding_reads, most_outstanding_writes;
};

class Port {
public:
    std::string name;
    Image image;
    Counters counters{};
    Pins pins{};

    Port(std::string port_name, uint64_t beat_bytes, std::string* violation)
        : name(std::move(port_name)), beat_(beat_bytes), violation_(violation) {}

    uint64_t beat_bytes() const { return beat_; }

    void configure(const Timing& timing) {
        timing_ = timing;
        scheduler_.configure(timing, beat_);
        clear();
    }

    void clear() {  // everything in flight; the image stays
        scheduler_.clear();
        random_.seed(uint64_t(timing_.seed) + 0x9e3779b97f4a7c15u);
        reads_.clear(), writes_.clear(), beats_.clear();
        ar_held_ = aw_held_ = w_held_ = r_offered_ = b_offered_ = false;
        counters = Counters{};
    }

    void drive(double now) {
        scheduler_.advance(now);
        *pins.arready = reads_.size() < size_t(timing_.read_bursts) && go();
        *pins.awready = writes_.size() < size_t(timing_.write_bursts) && go();
        *pins.wready = beats_.size() < 256 && go();
        if (!r_offered_ && !scheduler_.read_done.empty() && scheduler_.read_done.front() <= now && go()) offer_read();
        *pins.rvalid = r_offered_;
        if (!b_offered_ && !writes_.empty() && writes_.front().complete(now) && go()) {
            b_offered_ = true;
            Burst& burst = writes_.front();
            for (const Beat& beat : burst.late) apply(beat);
            *pins.bresp = burst.error ? RESPONSE_SLVERR : RESPONSE_OKAY;
        }
        *pins.bvalid = b_offered_;
    }

    // During reset: no handshakes; after the first cycle valid must be low.
    void observe_reset() {
        if (*pins.arvalid || *pins.awvalid || *pins.wvalid) fail("valid is high in reset");
    }

    void observe(double now) {
        if (*pins.arvalid || ar_held_) observe_read_address(now);
        if (r_offered_) {
            if (*pins.rready) take_read();
            else ++counters.read_stall_cycles;
        } else if (!reads_.empty()) ++counters.read_wait_cycles;
        if (*pins.awvalid || aw_held_) observe_write_address();
        if (*pins.wvalid || w_held_) observe_write_data();
        if (b_offered_) {
            if (*pins.bready) b_offered_ = false, writes_.pop_front();
            else ++counters.response_wait_cycles;
        }
        match_writes(now);
        counters.outstanding_reads = reads_.size(), counters.outstanding_writes = writes_.size();
        counters.most_outstanding_reads = std::max<uint64_t>(counters.most_outstanding_reads, reads_.size());
        counters.most_outstanding_writes = std::max<uint64_t>(counters.most_outstanding_writes, writes_.size());
    }

private:
    struct Beat { uint64_t address; bool last; uint8_t data[MAX_BEAT], strobe[MAX_BEAT / 8]; };
    struct Burst {
        uint64_t address, beats, done = 0;
        bool error = false, early = false;
        double time = 0;                 // writes: completion of the last beat
        uint64_t timed = 0;              // writes: beats whose completion time is known
        std::vector<uint8_t> data{};     // reads sampled when the address was taken
        std::vector<Beat> late{};        // writes that become visible with the response
        bool complete(double now) const { return timed == beats && time <= now; }
        bool overlaps(uint64_t start, uint64_t end, uint64_t beat) const {
            return address < end && start < address + beats * beat;
        }
    };

    bool go() { return timing_.kind != 1 || double(random_() >> 11) * 0x1p-53 >= timing_.stall; }
    bool coin() { return timing_.kind == 1 && random_() & 1; }

    void fail(const std::string& text) {
        if (violation_->empty()) *violation_ = "port " + name + ": " + text;
    }

    static std::string hex(uint64_t value) {
        char text[32];
        snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
        return text;
    }

    // valid, once high, stays with the same payload until ready.
    void check_address(const char* channel, bool held, bool valid, uint64_t address, unsigned length,
                       uint64_t old_address, unsigned old_length) {
        std::string which = channel;
        if (held && !valid) return fail(which + "valid withdrawn before " + which + "ready");
        if (held && (address != old_address || length != old_length))
            return fail(which + " payload changed while waiting: address " + hex(old_address) + " to " + hex(address) +
                        ", length " + std::to_string(old_length) + " to " + std::to_string(length));
        if (held) return;
        uint64_t bytes = (uint64_t(length) + 1) * beat_;
        if (address % beat_) fail(which + "addr " + hex(address) + " is not aligned to a beat of " +
                                  std::to_string(beat_) + " bytes");
        if (address % 4096 + bytes > 4096)
            fail(which + " burst at " + hex(address) + " of " + std::to_string(length + 1) + " beats crosses 4 KiB");
    }

    void observe_read_address(double now) {
        check_address("ar", ar_held_, *pins.arvalid, *pins.araddr, *pins.arlen, ar_address_, ar_length_);
        ar_address_ = *pins.araddr, ar_length_ = *pins.arlen;
        ar_held_ = *pins.arvalid && !*pins.arready;
        if (ar_held_) ++counters.address_wait_cycles;
        if (ar_held_ || !*pins.arvalid || !violation_->empty()) return;
        Burst burst{ar_address_, uint64_t(ar_length_) + 1};
        for (const Burst& write : writes_)
            if (write.overlaps(burst.address, burst.address + burst.beats * beat_, beat_)) {
                ++counters.hazards;
                break;
            }
        if (coin()) {  // both moments are legal; a design must not depend on either
            burst.early = true;
            burst.data.resize(burst.beats * beat_);
            image.read(burst.address, burst.data.data(), burst.data.size());
        }
        for (uint64_t i = 0; i < burst.beats; ++i) scheduler_.submit(false, burst.address + i * beat_, now);
        ++counters.read_bursts;
        reads_.push_back(std::move(burst));
    }

    void offer_read() {
        Burst& burst = reads_.front();
        uint64_t address = burst.address + burst.done * beat_;
        bool inside = image.inside(address, beat_);
        auto* data = static_cast<uint8_t*>(pins.rdata);
        if (!inside) std::memset(data, 0xa5, beat_), ++counters.read_errors;
        else if (burst.early) std::memcpy(data, burst.data.data() + burst.done * beat_, beat_);
        else image.read(address, data, beat_);
        *pins.rresp = inside ? RESPONSE_OKAY : RESPONSE_SLVERR;
        *pins.rlast = burst.done + 1 == burst.beats;
        scheduler_.read_done.pop_front();
        r_offered_ = true;
    }

    void take_read() {
        ++counters.read_beats;
        r_offered_ = false;
        if (++reads_.front().done == reads_.front().beats) reads_.pop_front();
    }

    void observe_write_address() {
        check_address("aw", aw_held_, *pins.awvalid, *pins.awaddr, *pins.awlen, aw_address_, aw_length_);
        aw_address_ = *pins.awaddr, aw_length_ = *pins.awlen;
        aw_held_ = *pins.awvalid && !*pins.awready;
        if (aw_held_) ++counters.write_wait_cycles;
        if (aw_held_ || !*pins.awvalid || !violation_->empty()) return;
        Burst burst{aw_address_, uint64_t(aw_length_) + 1};
        for (const Burst& read : reads_)
            if (read.overlaps(burst.address, burst.address + burst.beats * beat_, beat_)) {
                ++counters.hazards;
                break;
            }
        burst.early = !coin();
        ++counters.write_bursts;
        writes_.push_back(std::move(burst));
    }

    void observe_write_data() {
        size_t strobes = (beat_ + 7) / 8;
        bool same = w_held_ && *pins.wvalid && held_.last == bool(*pins.wlast) &&
                    !std::memcmp(held_.data, pins.wdata, beat_) && !std::memcmp(held_.strobe, pins.wstrb, strobes);
        if (w_held_ && !*pins.wvalid) return fail("wvalid withdrawn before wready");
        if (w_held_ && !same) return fail("w payload changed while waiting");
        held_.last = *pins.wlast;
        std::memcpy(held_.data, pins.wdata, beat_);
        std::memcpy(held_.strobe, pins.wstrb, strobes);
        w_held_ = *pins.wvalid && !*pins.wready;
        if (w_held_) ++counters.write_wait_cycles;
        if (!w_held_ && *pins.wvalid) beats_.push_back(held_);
    }

    // Data beats find their addresses, in order.
    void match_writes(double now) {
        while (!beats_.empty() && matched_index() < writes_.size() && scheduler_.pending_writes() < 256) {
            Burst& burst = writes_[matched_index_];
            Beat& beat = beats_.front();
            beat.address = burst.address + burst.done * beat_;
            bool last = burst.done + 1 == burst.beats;
            if (beat.last != last) {
                fail("wlast is " + std::to_string(beat.last) + " at beat " + std::to_string(burst.done) + " of " +
                     std::to_string(burst.beats) + " of the burst at " + hex(burst.address));
                return;
            }
            ++counters.written_beats;
            for (uint64_t i = 0; i < (beat_ + 7) / 8; ++i)
                counters.written_bytes += uint64_t(__builtin_popcount(beat.strobe[i]));
            if (!image.inside(beat.address, beat_)) burst.error = true, ++counters.write_errors;
            else if (burst.early) apply(beat);
            else burst.late.push_back(beat);
            scheduler_.submit(true, beat.address, now);
            ++burst.done;
            beats_.pop_front();
        }
        for (Burst& burst : writes_) {  // completion times, in order
            while (burst.timed < burst.done && !scheduler_.write_done.empty()) {
                burst.time = scheduler_.write_done.front();
                scheduler_.write_done.pop_front();
                ++burst.timed;
            }
            if (burst.timed < burst.beats) break;
        }
    }

    size_t matched_index() {
        matched_index_ = 0;
        while (matched_index_ < writes_.size() && writes_[matched_index_].done == writes_[matched_index_].beats)
            ++matched_index_;
        return matched_index_;
    }

    void apply(const Beat& beat) { image.write_strobed(beat.address, beat.data, beat.strobe, beat_); }

    uint64_t beat_;
    std::string* violation_;
    Timing timing_{};
    Scheduler scheduler_;
    std::mt19937_64 random_;
    std::deque<Burst> reads_, writes_;
    std::deque<Beat> beats_;  // data taken before its address
    Beat held_{};
    size_t matched_index_ = 0;
    uint64_t ar_address_ = 0, aw_address_ = 0;
    unsigned ar_length_ = 0, aw_length_ = 0;
    bool ar_held_ = false, aw_held_ = false, w_held_ = false, r_offered_ = false, b_offered_ = false;
};

}  // namespace lacuna
