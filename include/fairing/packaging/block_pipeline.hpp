// fairing/packaging/block_pipeline.hpp - blocks of segments, hashed and compressed on several
// threads, delivered in order.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../codec/compressor.hpp"
#include "../codec/crc32.hpp"
#include "../codec/sha256.hpp"
#include "segment.hpp"

namespace fairing::packaging {

/// The caller's thread submits blocks and gets the compressed stream through `sink`, in order and
/// on that thread; up to threads - 1 others compress. When all are busy the caller compresses too,
/// so at most 2 * threads blocks are in memory. The stream depends on the segments alone: where
/// blocks end does not matter. An object that dies early joins its threads.
template <codec::Compressor C>
class BlockPipeline {
public:
    /// Gets the segments of a block behind its bytes, with what came out of them.
    using SegmentSink = std::function<void(std::span<const Segment>)>;

    BlockPipeline(const C& compressor, std::size_t threads, codec::ByteSink sink,
                  SegmentSink segment_sink = {}, Recall recall = {})
        : compressor_(compressor),
          threads_(std::max<std::size_t>(1, threads)),
          sink_(std::move(sink)),
          segment_sink_(std::move(segment_sink)),
          recall_(std::move(recall)) {
        std::vector<std::byte> head;
        compressor_.begin(head);
        hand_on(head);
    }
    BlockPipeline(const BlockPipeline&) = delete;
    BlockPipeline& operator=(const BlockPipeline&) = delete;
    ~BlockPipeline() = default;

    /// A block of `size` bytes of any content, to be filled and submitted.
    [[nodiscard]] std::vector<std::byte> buffer(std::size_t size) {
        std::vector<std::byte> block = take(spare_inputs_);
        block.resize(size);
        return block;
    }

    /// A block that is one segment.
    void submit(std::vector<std::byte> block) {
        std::vector<Segment> whole = {{.size = block.size(), .content_size = block.size()}};
        submit(std::move(block), std::move(whole));
    }
    /// The segments follow each other and are the whole block; both are taken over.
    void submit(std::vector<std::byte>&& block, std::vector<Segment>&& segments) {
        auto job = std::make_unique<Job>();
        job->input = std::move(block);
        job->output = take(spare_outputs_);
        job->output.clear();
        job->segments = std::move(segments);
        {
            const std::lock_guard lock{mutex_};
            jobs_.push_back(std::move(job));
        }
        if (jobs_.size() > 1 && helpers_.size() + 1 < threads_) {
            helpers_.emplace_back([this](const std::stop_token& stop) { help(stop); });
        }
        waiting_.notify_one();
        while (jobs_.size() >= 2 * threads_) {
            deliver();
        }
    }

    /// Delivers what is left, and the end of the stream.
    void finish() {
        while (!jobs_.empty()) {
            deliver();
        }
        std::vector<std::byte> tail;
        compressor_.end(crc_, size_, tail);
        hand_on(tail);
    }

private:
    using Blocks = std::vector<std::vector<std::byte>>;
    enum class State { waiting, running, done };
    struct Job {
        std::vector<std::byte> input = {}, output = {};
        std::vector<Segment> segments = {};
        std::exception_ptr failure = {};
        State state = State::waiting;
    };

    /// One that was used before, if there is one: memory that goes back to the system, and comes
    /// from it, stops every thread of the program.
    [[nodiscard]] static std::vector<std::byte> take(Blocks& spare) {
        std::vector<std::byte> block;
        if (!spare.empty()) {
            block = std::move(spare.back());
            spare.pop_back();
        }
        return block;
    }

    /// Nothing is no piece: to some sinks it is the end.
    void hand_on(std::span<const std::byte> bytes) const {
        if (!bytes.empty()) {
            sink_(bytes);
        }
    }

    void compress(Job& job) const noexcept {
        try {
            for (Segment& segment : job.segments) {
                compress(segment, std::span{job.input}.subspan(segment.begin, segment.size),
                         job.output);
            }
        } catch (...) {
            job.failure = std::current_exception();
        }
    }

    void compress(Segment& segment, std::span<const std::byte> input,
                  std::vector<std::byte>& output) const {
        if (segment_sink_) {
            codec::Sha256 hash;
            hash.update(input.subspan(segment.content, segment.content_size));
            segment.content_digest = hash.finish();
            segment.key = segment_key(segment, input);
        }
        segment.crc = codec::crc32(input);
        const std::size_t before = output.size();
        segment.recalled = recall_ && recall_(segment, input, output);
        if (!segment.recalled) {
            compressor_.block(input, output);
        }
        segment.compressed_size = output.size() - before;
        if (segment_sink_) {
            segment.compressed_crc = codec::crc32(std::span{output}.subspan(before));
        }
    }

    /// The first job that nobody works on, now ours; or null. Needs the lock.
    [[nodiscard]] Job* claim() {
        for (const auto& job : jobs_) {
            if (job->state == State::waiting) {
                job->state = State::running;
                return job.get();
            }
        }
        return nullptr;
    }

    void help(const std::stop_token& stop) {
        std::unique_lock lock{mutex_};
        while (true) {
            Job* job = nullptr;
            if (!waiting_.wait(lock, stop, [&] { return (job = claim()) != nullptr; })) {
                return;
            }
            lock.unlock();
            compress(*job);
            lock.lock();
            job->state = State::done;
            done_.notify_one();
        }
    }

    /// Waits for the first job, or does one that waits, and hands the first one's output on.
    void deliver() {
        std::unique_ptr<Job> first;
        {
            std::unique_lock lock{mutex_};
            while (jobs_.front()->state != State::done) {
                if (Job* job = claim()) {
                    lock.unlock();
                    compress(*job);
                    lock.lock();
                    job->state = State::done;
                } else {
                    done_.wait(lock, [&] { return jobs_.front()->state == State::done; });
                }
            }
            first = std::move(jobs_.front());
            jobs_.pop_front();
        }
        if (first->failure) {
            std::rethrow_exception(first->failure);
        }
        for (const Segment& segment : first->segments) {
            crc_ = codec::combine_crc32(crc_, segment.crc, segment.size);
            size_ += segment.size;
        }
        hand_on(first->output);
        if (segment_sink_) {
            segment_sink_(first->segments);
        }
        spare_inputs_.push_back(std::move(first->input));
        spare_outputs_.push_back(std::move(first->output));
    }

    C compressor_;
    std::size_t threads_;
    codec::ByteSink sink_;
    SegmentSink segment_sink_;
    Recall recall_;
    std::uint32_t crc_ = 0;
    std::uint64_t size_ = 0;
    Blocks spare_inputs_ = {}, spare_outputs_ = {};
    std::mutex mutex_ = {};
    std::condition_variable_any waiting_ = {};
    std::condition_variable done_ = {};
    std::deque<std::unique_ptr<Job>> jobs_ = {};  // only the caller's thread adds and removes
    std::vector<std::jthread> helpers_ = {};      // last: joined before the rest goes
};

}  // namespace fairing::packaging
