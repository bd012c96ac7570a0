// What the ops of ai.onnx.ml share: rows of features, lists as tensors, class labels, and what becomes of raw scores.
#pragma once
#include "converter/onnx_node.h"

namespace converter {
// A constant of the values; their number must fit the shape.
ValueId list(OnnxNode&, DType, const Shape&, std::span<const double>);
inline ValueId list(OnnxNode& n, DType dtype, std::span<const double> values) { return list(n, dtype, {int64_t(values.size())}, values); }
ValueId list(OnnxNode&, schema::Strings);

// What ai.onnx.ml calls numbers: f32, f64, i32 or i64.
inline void expect_numbers(const OnnxNode& n, size_t k = 0) { n.expect_dtype(k, {DType::f32, DType::f64, DType::i32, DType::i64}); }

// Input k as [N,F] of the dtype; a vector is one row.
ValueId rows_of(OnnxNode&, size_t k, DType);

// The attribute `ints` or `strings` as a tensor (i64 or string [n]); one of them must be there.
ValueId labels(OnnxNode&, std::string_view ints, std::string_view strings);
ValueId pick(OnnxNode&, ValueId labels, ValueId indices);
ValueId label_of_largest(OnnxNode&, ValueId labels, ValueId scores);
// The second label where a lone score [N,1] is above the threshold, else the first.
ValueId label_by_sign(OnnxNode&, ValueId labels, ValueId score, double threshold);

enum class PostTransform { none, softmax, logistic, softmax_zero, probit };
PostTransform post_transform(OnnxNode&);  // the attribute
ValueId transformed(OnnxNode&, PostTransform, ValueId scores);
// Scores [N,2] of two classes from the lone one [N,1] of the second: its logistic and the rest, or its complement to 1, or
// with `signed_score` its negative.
ValueId two_classes(OnnxNode&, PostTransform, ValueId score, bool signed_score);
}  // namespace converter
