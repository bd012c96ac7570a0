#include "engine/ops/bodies.h"
#include "engine/ops/doubles.h"
#include "engine/shape.h"

namespace engine {
namespace {
// The kind, the dtype and what a sequence or an optional holds.
bool same_kind(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype) return false;
  return !a.element || !b.element || same_kind(*a.element, *b.element);
}

Type without_extents(const Type& t) {
  if (t.is_tensor()) return Type::unranked(t.dtype);
  if (!t.element) return t;
  return t.kind == ValueKind::sequence ? Type::sequence(without_extents(*t.element)) : Type::optional(without_extents(*t.element));
}
}  // namespace

bool covers(const Type& general, const Type& specific) {
  if (!same_kind(general, specific)) return false;
  if (!general.is_tensor()) return !general.element || !specific.element || covers(*general.element, *specific.element);
  if (!general.ranked) return true;
  return specific.ranked && std::ranges::equal(general.dims, specific.dims, [](const Dim& g, const Dim& s) { return g == s || g.text() == "?"; });
}

Types infer_loop(const Graph& body, Types& inputs, size_t in, size_t out, size_t count, std::span<const std::optional<Dims>> ints) {
  // A loop takes a few rounds, so loops in loops take exponentially many: the deep ones settle for less.
  static thread_local int depth = 0;
  struct Deeper {
    Deeper() { ++depth; }
    ~Deeper() { --depth; }
  } deeper;
  for (int round = 0;; ++round) {
    Types outputs = infer_body(body, inputs, ints);
    check(outputs.size() >= out + count, "the body has ", outputs.size(), " outputs where ", out + count, " are needed");
    bool settled = true;
    for (size_t k = 0; k < count; ++k) {
      Type& type = inputs[in + k];
      check(same_kind(type, outputs[out + k]), "carried value ", k, " is ", type, " and becomes ", outputs[out + k]);
      if (covers(type, outputs[out + k])) continue;
      settled = false;
      type = round >= 2 || depth > 3 ? without_extents(type) : generalise(type, outputs[out + k]);
    }
    if (!settled && depth > 3)
      for (Type& type : outputs) type = without_extents(type);
    if (!settled && depth <= 3) continue;
    std::copy_n(inputs.begin() + int64_t(in), count, outputs.begin() + int64_t(out));
    return outputs;
  }
}

void Stack::append(const ConstView& x) {
  check(!x.object || x.object->kind == ValueKind::tensor, "a scan output must be a tensor");
  if (count_ == 0) dtype_ = x.dtype, shape_ = shape_of(x);
  check(x.dtype == dtype_ && std::ranges::equal(x.shape, shape_), "a scan output is ", name(x.dtype), x.shape,
        " after ", name(dtype_), shape_);
  Shape all = shape_;
  all.insert(all.begin(), ++count_);
  const size_t bytes = size_t(bytes_of(dtype_, all)), n = size_t(elements(shape_));
  if (dtype_ == DType::string) {
    for (const std::string& s : x.as<std::string>()) characters_ += int64_t(s.size());
    text_.set(characters_);
    strings_.insert(strings_.end(), x.as<std::string>().begin(), x.as<std::string>().end());
    return;
  }
  bytes_.resize(bytes);
  copy_elements({dtype_, all, bytes_.data(), nullptr}, (count_ - 1) * int64_t(n), x, 0, int64_t(n));
}

void Stack::finish(RunContext& c, size_t k, const Type& slice, int64_t axis, bool reverse) const {
  if (count_ == 0 && c.sized(k)) return void(c.set_out(k, c.out(k).dtype, shape_of(c.out(k))));
  Shape shape = shape_;
  if (count_ == 0)
    for (const Dim& d : slice.dims) shape.push_back(d.known() ? d.value() : 0);
  axis = normal_axis(axis, int64_t(shape.size()) + 1);
  const int64_t outer = elements(std::span(shape).first(size_t(axis))), run = elements(std::span(shape).subspan(size_t(axis)));
  shape.insert(shape.begin() + axis, count_);
  const View y = c.set_out(k, count_ ? dtype_ : slice.dtype, shape);
  const auto* data = dtype_ == DType::string ? reinterpret_cast<const std::byte*>(strings_.data()) : bytes_.data();
  const ConstView all{dtype_, shape, data, nullptr};
  for (int64_t t = 0; t < count_; ++t)
    for (int64_t o = 0; o < outer; ++o)
      copy_elements(y, (o * count_ + (reverse ? count_ - 1 - t : t)) * run, all, (t * outer + o) * run, run);
}
}  // namespace engine
