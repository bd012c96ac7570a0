// Indices: gathering, scattering, ordering and selecting.
#include "converter/onnx_node.h"
#include "converter/onnx_tensor.h"

namespace converter {
namespace {
using schema::BinaryKind, schema::ScatterKind;

template <class T> void with_axis(OnnxNode& n) { n.finish(T{n.integer("axis", 0)}, n.all()); }
void gather_nd(OnnxNode& n) { n.finish(schema::GatherND{n.integer("batch_dims", 0)}, n.all()); }

ScatterKind reduction(OnnxNode& n) {
  return n.choice<ScatterKind>("reduction", "none",
                               {{"none", ScatterKind::none},
                                {"add", ScatterKind::add},
                                {"mul", ScatterKind::mul},
                                {"min", ScatterKind::min},
                                {"max", ScatterKind::max}});
}
void scatter_elements(OnnxNode& n) { n.finish(schema::ScatterElements{n.integer("axis", 0), reduction(n)}, n.all()); }
void scatter_nd(OnnxNode& n) { n.finish(schema::ScatterND{reduction(n)}, n.all()); }

void one_hot(OnnxNode& n) { n.finish(schema::OneHot{n.integer("axis", -1)}, n.all()); }
void top_k(OnnxNode& n) {
  const schema::TopK op{n.integer("axis", -1), n.flag("largest", true), n.flag("sorted", true)};
  n.finish(op, {n.in(0), n.opset() >= 10 ? n.in(1) : n.ints({n.integer("k")})});
}
void non_zero(OnnxNode& n) { n.finish(schema::NonZero{}, n.all()); }
void non_max_suppression(OnnxNode& n) {
  n.finish(schema::NonMaxSuppression{n.flag("center_point_box", false)}, n.all());
}
void unique(OnnxNode& n) {
  n.finish(schema::Unique{n.integer("axis", 0), !n.has_attribute("axis"), n.flag("sorted", true)}, n.all());
}
void compress(OnnxNode& n) { n.finish(schema::Compress{n.integer("axis", 0), !n.has_attribute("axis")}, n.all()); }

// Ones on the k-th diagonal: where column - row is k.
void eye_like(OnnxNode& n) {
  n.expect_inputs(1, 1);
  const int64_t k = n.integer("k", 0), type = n.integer("dtype", 0);
  const DType dtype = type ? dtype_of(int32_t(type)) : n.dtype(0);
  check(n.rank(0) == 2, "needs a matrix, not ", n.type(0));
  const auto indices = [&](int64_t axis) {
    const ValueId extent = n.add(schema::Squeeze{}, {n.add(schema::Shape{axis, axis + 1}, {n.in(0)})});
    return n.unsqueeze(n.add(schema::Range{}, {n.scalar(DType::i64, 0), extent, n.scalar(DType::i64, 1)}), {1 - axis});
  };
  const ValueId difference = n.binary(BinaryKind::sub, indices(1), indices(0));
  n.set(0, n.cast(n.binary(BinaryKind::equal, difference, double(k)), dtype));
}

// Element t of a sequence comes from length - 1 - t, or from t itself behind the sequence's end.
void reverse_sequence(OnnxNode& n) {
  n.expect_inputs(2, 2);
  const int64_t time = n.integer("time_axis", 0), batch = n.integer("batch_axis", 1), rank = n.rank(0);
  check((time == 0 && batch == 1) || (time == 1 && batch == 0), "time_axis and batch_axis must be 0 and 1");
  const ValueId x = n.in(0);
  const ValueId extent = n.add(schema::Squeeze{}, {n.add(schema::Shape{time, time + 1}, {x})});
  const ValueId steps =
      n.unsqueeze(n.add(schema::Range{}, {n.scalar(DType::i64, 0), extent, n.scalar(DType::i64, 1)}), {1 - time});
  const ValueId lengths = n.unsqueeze(n.in(1), {time});
  const ValueId mirrored = n.binary(BinaryKind::sub, n.binary(BinaryKind::sub, lengths, 1), steps);
  ValueId index = n.add(schema::Where{}, {n.binary(BinaryKind::less, steps, lengths), mirrored, steps});
  std::vector<int64_t> rest;
  for (int64_t i = 2; i < rank; ++i) rest.push_back(i);
  if (!rest.empty()) index = n.add(schema::Unsqueeze{}, {index, n.ints(rest)});
  n.set(0, n.add(schema::GatherElements{time}, {x, n.add(schema::Expand{}, {index, n.add(schema::Shape{}, {x})})}));
}

constexpr Row index_rows[] = {{"Gather", with_axis<schema::Gather>}, {"GatherElements", with_axis<schema::GatherElements>},
                              {"GatherND", gather_nd}, {"Scatter", scatter_elements}, {"ScatterElements", scatter_elements},
                              {"ScatterND", scatter_nd}, {"OneHot", one_hot}, {"TopK", top_k}, {"NonZero", non_zero},
                              {"NonMaxSuppression", non_max_suppression}, {"Unique", unique}, {"Compress", compress}, {"EyeLike", eye_like},
                              {"ReverseSequence", reverse_sequence}};
}  // namespace

Group index_group() { return {onnx_domain, index_rows}; }
}  // namespace converter
