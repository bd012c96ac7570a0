#include <algorithm>
#include <cctype>
#include "engine/op.h"
#include "engine/ops/strides.h"

namespace engine {
namespace {
using schema::StringConcat, schema::StringNormalizer, schema::StringSplit;

Types infer_concat(const StringConcat&, const InferContext& in) {
  in.expect_inputs(2, 2);
  in.expect_dtype(0, {DType::string}), in.expect_dtype(1, {DType::string});
  const Type both[] = {in.in(0), in.in(1)};
  return {broadcast(DType::string, both)};
}
void concat(const StringConcat&, RunContext& c) {
  const ConstView &a = c.in(0), &b = c.in(1);
  Shape shape(std::max(a.rank(), b.rank()), 1);
  for (const ConstView* v : {&a, &b})
    for (int64_t i = 0; i < v->rank(); ++i) {
      int64_t& d = shape[shape.size() - v->rank() + i];
      if (d == 1) d = v->shape[i];
    }
  const View y = c.set_out(0, DType::string, shape);
  if (shape.empty()) shape = {1};
  const Nest<3> nest{shape, {dense_strides(shape), broadcast_strides(a.shape, shape.size()), broadcast_strides(b.shape, shape.size())}};
  nest.each({}, [&](const auto& at) { y.as<std::string>()[at[0]] = a.as<std::string>()[at[1]] + b.as<std::string>()[at[2]]; });
}

Types infer_split(const StringSplit&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_dtype(0, {DType::string});
  Type parts = in.in(0), count = in.in(0);
  if (parts.ranked) parts.dims.push_back(Dim::unknown());
  count.dtype = DType::i64;
  Types types{parts, count};
  types.resize(in.outputs());
  return types;
}

// Runs of whitespace separate parts and do not make empty ones; a delimiter of its own does. The rest after the last
// allowed split stays whole.
std::vector<std::string> split_one(const std::string& text, const StringSplit& op) {
  std::vector<std::string> parts;
  const auto may_split = [&] { return op.max_splits < 0 || int64_t(parts.size()) < op.max_splits; };
  size_t at = 0;
  if (op.delimiter.empty()) {
    const char* space = " \t\n\r\f\v";
    while ((at = text.find_first_not_of(space, at)) != std::string::npos) {
      const size_t end = may_split() ? text.find_first_of(space, at) : text.find_last_not_of(space) + 1;
      parts.push_back(text.substr(at, end == std::string::npos ? end : end - at));
      if (end == std::string::npos) break;
      at = end;
    }
    return parts;
  }
  for (size_t end; may_split() && (end = text.find(op.delimiter, at)) != std::string::npos; at = end + op.delimiter.size())
    parts.push_back(text.substr(at, end - at));
  parts.push_back(text.substr(at));
  return parts;
}

void split(const StringSplit& op, RunContext& c) {
  const auto x = c.in(0).as<std::string>();
  std::vector<std::vector<std::string>> rows;
  size_t most = 0;
  for (const std::string& text : x) most = std::max(most, rows.emplace_back(split_one(text, op)).size());
  Shape shape(c.in(0).shape.begin(), c.in(0).shape.end());
  if (c.wants(1)) {
    const View count = c.set_out(1, DType::i64, shape);
    for (size_t i = 0; i < rows.size(); ++i) store(count, int64_t(i), Int(rows[i].size()));
  }
  shape.push_back(int64_t(most));
  const auto y = c.set_out(0, DType::string, shape).as<std::string>();
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::move(rows[i], y.begin() + i * most);
}

Types infer_normalizer(const StringNormalizer&, const InferContext& in) {
  in.expect_inputs(1, 1);
  in.expect_dtype(0, {DType::string});
  const Type& x = in.in(0);
  if (!x.ranked) return {x};
  check(x.rank() == 1 || (x.rank() == 2 && may_equal(x.dims[0], 1)), "expects [C] or [1,C], not ", x);
  Type y = x;
  y.dims.back() = Dim::unknown();
  return {y};
}

std::string change_case(std::string text, schema::CaseChange change) {
  for (char& ch : text) {
    if (change == schema::CaseChange::lower && ch >= 'A' && ch <= 'Z') ch = char(ch - 'A' + 'a');
    if (change == schema::CaseChange::upper && ch >= 'a' && ch <= 'z') ch = char(ch - 'a' + 'A');
  }
  return text;
}

void normalize(const StringNormalizer& op, RunContext& c) {
  const ConstView& x = c.in(0);
  const auto comparable = [&](const std::string& s) { return op.case_sensitive ? s : change_case(s, schema::CaseChange::lower); };
  std::vector<std::string> stop, kept;
  for (const std::string& word : op.stopwords) stop.push_back(comparable(word));
  for (const std::string& word : x.as<std::string>())
    if (std::ranges::find(stop, comparable(word)) == stop.end()) kept.push_back(change_case(word, op.case_change));
  if (kept.empty()) kept.emplace_back();  // ONNX: one empty string when all are dropped
  Shape shape(x.shape.begin(), x.shape.end());
  shape.back() = int64_t(kept.size());
  std::ranges::move(kept, c.set_out(0, DType::string, shape).as<std::string>().begin());
}
}  // namespace

const OpDef<StringConcat>& def(const StringConcat&) {
  static constexpr OpDef<StringConcat> def{.infer = infer_concat, .reference = concat};
  return def;
}
const OpDef<StringSplit>& def(const StringSplit&) {
  static constexpr OpDef<StringSplit> def{.infer = infer_split, .reference = split};
  return def;
}
const OpDef<StringNormalizer>& def(const StringNormalizer&) {
  static constexpr OpDef<StringNormalizer> def{.infer = infer_normalizer, .reference = normalize};
  return def;
}
}  // namespace engine
