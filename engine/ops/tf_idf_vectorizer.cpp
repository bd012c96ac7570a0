#include <unordered_map>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::TfIdfMode, schema::TfIdfVectorizer;

// The n-grams of one length in the pool: they start at item `first`.
struct NGrams {
  int64_t length, first, count;
};
std::vector<NGrams> n_grams(const TfIdfVectorizer& op) {
  check(op.pool_ints.empty() || op.pool_strings.empty(), "has a pool of integers and one of strings");
  check(op.min_length >= 1 && op.max_length >= op.min_length && op.max_skip >= 0, "n-grams of ", op.min_length, " to ",
        op.max_length, " items with ", op.max_skip, " left out are not defined");
  const auto items = int64_t(op.pool_ints.size() + op.pool_strings.size());
  require(items <= INT32_MAX, Code::limit, "the pool has ", items, " items");
  std::vector<NGrams> all;
  int64_t grams = 0;
  for (size_t k = 0; k < op.counts.size(); ++k) {
    const int64_t first = op.counts[k], last = k + 1 < op.counts.size() ? op.counts[k + 1] : items,
                  length = int64_t(k) + 1;
    check(first >= 0 && first <= last && last <= items, "n-grams of ", length, " items are not at ", first, " to ",
          last, " of a pool of ", items);
    check((last - first) % length == 0, last - first, " items of the pool are not n-grams of ", length);
    all.push_back({length, first, (last - first) / length});
    grams += all.back().count;
  }
  check(grams == int64_t(op.indexes.size()), "there are ", op.indexes.size(), " indexes for ", grams, " n-grams");
  check(op.weights.empty() || op.weights.size() == op.indexes.size(), "there are ", op.weights.size(), " weights for ",
        grams, " n-grams");
  check(grams > 0, "the pool is empty");
  for (int64_t i : op.indexes) check(i >= 0 && i < limits::extent, "index ", i, " of an n-gram is out of range");
  return all;
}
int64_t size_of(const TfIdfVectorizer& op) { return *std::ranges::max_element(op.indexes) + 1; }

Types infer(const TfIdfVectorizer& op, const InferContext& in) {
  in.expect_inputs(1, 1);
  n_grams(op);
  if (op.pool_strings.empty()) in.expect_dtype(0, {DType::i32, DType::i64});
  else in.expect_dtype(0, {DType::string});
  const Type& x = in.in(0);
  if (!x.ranked) return {Type::unranked(DType::f32)};
  check(x.rank() <= 2, "expects [C] or [N,C], not ", x);
  Type y = Type::tensor(DType::f32, {Dim(size_of(op))});
  if (x.rank() == 2) y.dims.insert(y.dims.begin(), x.dims[0]);
  return {y};
}

// The pool as a tree: each n-gram is a path of its items, from the root.
class Tree {
 public:
  explicit Tree(TfIdfVectorizer given) : op_(std::move(given)) {
    int32_t gram = 0;
    for (const NGrams& s : n_grams(op_)) {
      if (s.length < op_.min_length || s.length > op_.max_length) {
        gram += int32_t(s.count);
        continue;
      }
      longest_ = s.count ? s.length : longest_;
      for (int64_t item = s.first; item < s.first + s.count * s.length; item += s.length) {
        int32_t node = 0;
        for (int64_t k = item; k < item + s.length; ++k) {
          const auto next = edges_.try_emplace(edge(node, add_item(size_t(k))), int32_t(gram_.size()));
          if (next.second) gram_.push_back(-1);
          node = next.first->second;
        }
        gram_[size_t(node)] = gram++;
      }
    }
  }

  void run(RunContext& c) const {
    const ConstView& x = c.in(0);
    const int64_t items = x.rank() ? x.shape.back() : 1, rows = x.rank() == 2 ? x.shape[0] : 1, size = size_of(op_);
    Extents shape{rows, size};
    const View y = c.set_out(0, DType::f32, x.rank() == 2 ? shape : Extents{size});
    auto row = Scratch<int32_t>(size_t(items));
    auto sums = Scratch<double>(size_t(rows ? size : 0));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < items; ++i) row[size_t(i)] = find_item(x, r * items + i);
      std::ranges::fill(sums, 0);
      for (int64_t step = 1; step <= 1 + std::min(op_.max_skip, items); ++step) {
        c.check_stop();
        for (int64_t i = 0; i < items; ++i) count(row, i, step, sums);
        if (longest_ <= 1) break;  // one item has no neighbours
      }
      for (int64_t k = 0; k < size; ++k) store(y, r * size + k, sums[size_t(k)]);
    }
  }

 private:
  static uint64_t edge(int32_t node, int32_t item) { return uint64_t(uint32_t(node)) << 32 | uint32_t(item); }
  template <class Map, class Key> static int32_t find_in(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? -1 : at->second;
  }
  int32_t add_item(size_t k) {
    if (op_.pool_strings.empty()) return numbers_.try_emplace(op_.pool_ints[k], int32_t(numbers_.size())).first->second;
    return words_.try_emplace(op_.pool_strings[k], int32_t(words_.size())).first->second;
  }
  int32_t find_item(const ConstView& x, int64_t i) const {
    if (x.dtype == DType::string) return find_in(words_, x.as<std::string>()[size_t(i)]);
    return find_in(numbers_, load<Int>(x, i).v);
  }

  // The n-grams that start at item i and go on every `step` items; those of one item only once.
  void count(std::span<const int32_t> row, int64_t i, int64_t step, std::span<double> sums) const {
    int32_t node = 0;
    for (int64_t length = 1; i < int64_t(row.size()); i += step, ++length) {
      if (row[size_t(i)] < 0 || (node = find_in(edges_, edge(node, row[size_t(i)]))) < 0) return;
      const int32_t gram = gram_[size_t(node)];
      if (gram < 0 || (length == 1 && step > 1)) continue;
      const double weight = op_.mode == TfIdfMode::tf || op_.weights.empty() ? 1 : op_.weights[size_t(gram)];
      double& sum = sums[size_t(op_.indexes[size_t(gram)])];
      sum = op_.mode == TfIdfMode::idf ? weight : sum + weight;
    }
  }

  const TfIdfVectorizer op_;
  std::unordered_map<std::string, int32_t> words_;
  std::unordered_map<int64_t, int32_t> numbers_;
  std::unordered_map<uint64_t, int32_t> edges_;
  std::vector<int32_t> gram_{-1};  // by node: the n-gram that ends there, or -1
  int64_t longest_ = 0;            // of the n-grams
};

void reference(const TfIdfVectorizer& op, RunContext& c) { Tree(op).run(c); }

// The tree is made once.
std::optional<Lowered> lower(const TfIdfVectorizer& op, const LowerContext&) {
  return Lowered{"n_grams", [tree = std::make_shared<const Tree>(op)](RunContext& c) { tree->run(c); }};
}

double flops(const TfIdfVectorizer& op, std::span<const Type> in, std::span<const Type> out) {
  if (!in[0].determined() || !out[0].determined()) return 0;
  const double items = double(elements(in[0].shape())), row = in[0].rank() ? double(in[0].shape().back()) : 1;
  return 10 * items * (1 + std::min(double(op.max_skip), row)) *
             double(std::min<size_t>(op.counts.size(), size_t(op.max_length))) +
         double(elements(out[0].shape())) + 10 * double(op.indexes.size());
}
}  // namespace

const OpDef<TfIdfVectorizer>& def(const TfIdfVectorizer&) {
  static constexpr OpDef<TfIdfVectorizer> def{.infer = infer, .reference = reference, .lower = lower, .flops = flops};
  return def;
}
}  // namespace engine
