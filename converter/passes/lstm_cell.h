// A step of an LSTM (ONNX's equations, without peepholes) that an exporter wrote as products, activations and elementwise nodes:
//   z = x·W + h·R + biases;  i, f, g, o = parts of z, in any order
//   next_c = sigmoid(f) * c + sigmoid(i) * tanh(g);  next_h = sigmoid(o) * tanh(next_c)
// x and h may also be one, [x, h]·[W; R].
#pragma once
#include <array>
#include "engine/passes/match.h"

namespace converter {
// Rows [first, first + rows) of a constant [rows,4H], or of one [4H,rows].
struct CellWeights {
  engine::ConstantPtr constant;
  bool transposed = false;
  int64_t first = 0, rows = 0;
  float at(int64_t row, int64_t column) const;
  bool operator==(const CellWeights&) const = default;
};

struct LstmCell {
  engine::ValueId x, h, c, next_h, next_c;  // [B,I] and [B,H]
  CellWeights w, r;
  std::vector<engine::ConstantPtr> biases;  // each of 4H elements
  int64_t hidden = 0;
  std::array<int64_t, 4> gates{};  // where i, o, f and g (ONNX's order) begin in z
  engine::Origins origins;
  bool same_weights(const LstmCell&) const;
};

class LstmCells : protected engine::Match {
 public:
  explicit LstmCells(const engine::Graph& graph) : Match(graph) {}
  // The cell that makes next_h. `is_state` says of two inputs of equal width which is h.
  std::optional<LstmCell> find(engine::ValueId next_h, const std::function<bool(engine::ValueId)>& is_state) const;

 private:
  struct Product {
    engine::ValueId a;
    CellWeights b;
  };
  struct Gate {
    engine::ValueId z;
    int64_t first;
  };
  // v = f(a) * b, whichever comes first.
  template <class F> bool factors(engine::ValueId v, const F& f) const;
  std::optional<Gate> gate(engine::ValueId v, schema::UnaryKind activation) const;
  bool terms(engine::ValueId z, int64_t width, std::vector<Product>& products, LstmCell& cell, int depth = 6) const;
  bool read_products(std::vector<Product> products, const std::function<bool(engine::ValueId)>& is_state, LstmCell& cell) const;
};
}  // namespace converter
