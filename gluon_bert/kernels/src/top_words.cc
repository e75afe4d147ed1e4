// The words with the highest scores at each position, for inference.
#include <limits>
#include <new>
#include <vector>

#include "decoder.h"

namespace {

struct Candidate {
  float score;
  int32_t word;
};

// Of equal scores, the word with the lower id comes first.
inline bool comes_before(const Candidate& x, const Candidate& y) {
  return x.score > y.score || (x.score == y.score && x.word < y.word);
}

// The k best words that a thread has seen at each position: heaps whose first one is the worst.
class Heaps {
 public:
  Heaps(int64_t k, int64_t positions) : k_(k), heaps_(positions) {
    for (std::vector<Candidate>& heap : heaps_) {
      heap.reserve(k);
    }
  }
  void clear() {
    for (std::vector<Candidate>& heap : heaps_) {
      heap.clear();
    }
  }
  // Add words in the order of their ids, those from `first` on of which the ids are below `limit`.
  void add(const WordScores& s, int64_t positions, int64_t first, int64_t limit) {
    const int64_t words = std::min(s.words, limit - first);
    for (int64_t j = 0; j < positions; ++j) {
      for (int64_t i = 0; i < words; ++i) {
        const float score = s.products[i * s.stride + j] + s.bias[i];
        if (!is_full(j) || score > heaps_[j].front().score) {
          push(j, {score, static_cast<int32_t>(first + i)});
        }
      }
    }
  }
  void add(const Heaps& other) {
    for (size_t j = 0; j < heaps_.size(); ++j) {
      for (const Candidate& candidate : other.heaps_[j]) {
        if (!is_full(j) || comes_before(candidate, heaps_[j].front())) {
          push(j, candidate);
        }
      }
    }
  }
  // The words at position j, the best first. They are no heap any more.
  const std::vector<Candidate>& sort(int64_t j) {
    std::sort_heap(heaps_[j].begin(), heaps_[j].end(), comes_before);
    return heaps_[j];
  }

 private:
  bool is_full(int64_t j) const { return static_cast<int64_t>(heaps_[j].size()) == k_; }
  void push(int64_t j, const Candidate& candidate) {
    std::vector<Candidate>& heap = heaps_[j];
    if (is_full(j)) {
      std::pop_heap(heap.begin(), heap.end(), comes_before);
      heap.pop_back();
    }
    heap.push_back(candidate);
    std::push_heap(heap.begin(), heap.end(), comes_before);
  }

  int64_t k_;
  std::vector<std::vector<Candidate>> heaps_;
};

// Write the words at one position. If a score is not a number they are the first ones.
void write_words(const std::vector<Candidate>& best, double sum, int32_t* ids, float* scores) {
  for (size_t i = 0; i < best.size(); ++i) {
    ids[i] = sum == sum ? best[i].word : static_cast<int32_t>(i);
    scores[i] = sum == sum ? best[i].score : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace

extern "C" {

// Find the k words with the highest scores at each position, the best first. sizes, arrays, rows:
// see make_decoder. limit: words have ids below it, at least k. Outputs: ids and scores, (P, k);
// log_sums, (P,), of the exponentials of the scores of all words. The caller checks all arguments.
// Returns 0, or 1 if there is no memory.
int gluon_bert_top_words(const int64_t* sizes, const float* const* arrays, const int64_t* rows,
                         int64_t k, int64_t limit, int threads, int32_t* ids, float* scores,
                         double* log_sums) try {
  const Decoder d = make_decoder(sizes, arrays, rows);
  const Scratch scratch(d, threads, threads);
  const Partial partial(d);
  std::vector<Heaps> heaps(threads, Heaps(k, d.most_positions()));
  run_parallel(threads, [&](const ThreadGroup& group) {
    each_block(d, [&](int64_t top, int64_t count) {
      const Block block{d, scratch, group, top, count};
      heaps[group.rank].clear();
      each_chunk(block, [&](int64_t n, const WordScores& s) {
        partial.add(n, s);
        heaps[group.rank].add(s, count, n * kWords, limit);
      });
      if (group.rank == 0) {
        for (int64_t other = 1; other < group.size; ++other) {
          heaps[0].add(heaps[other]);
        }
        for (int64_t j = 0; j < count; ++j) {
          const float maximum = partial.maximum(j);
          const double sum = partial.sum(j, maximum);
          write_words(heaps[0].sort(j), sum, ids + (top + j) * k, scores + (top + j) * k);
          log_sums[top + j] = maximum + std::log(sum);
        }
      }
      group.barrier();
    });
  });
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
