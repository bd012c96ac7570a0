// A recurrent net whose step is one pass over the recurrent weights: for each vector of hidden units the sums of all gates
// stay in registers until the new state is made of them.
#pragma once
#include "kernels/rnn/rnn.h"

namespace kernels::rnn {
// A pass over the recurrent weights of some gates. A gru that applies its reset gate to the state first takes two passes for a step:
// all units' update and reset gates, then their hidden ones.
enum class Pass : uint8_t { rnn, lstm, gru, gru_gates, gru_hidden };
constexpr int gates_of(Pass pass) {
  switch (pass) {
    case Pass::lstm: return 4;
    case Pass::gru: return 3;
    case Pass::gru_gates: return 2;
    case Pass::rnn:
    case Pass::gru_hidden: return 1;
  }
  return 0;
}

constexpr int all_gates_of(Pass pass) { return pass == Pass::gru_gates || pass == Pass::gru_hidden ? gates_of(Pass::gru) : gates_of(pass); }  // of a step

// One pass for some blocks of hidden units, `lanes` of them each. Rows of states are [B,H]; h and next are not the same.
struct CellArgs {
  const float* r;        // [blocks][H][G][lanes] of the pass' gates, units past H as zeros
  const float* bias;     // gru: rb of the hidden gate, [blocks][lanes]
  const float* gates_x;  // [B,G*H], all gates: w·x and the other biases
  const float* h;
  float *next, *c;
  float *update = nullptr, *reset = nullptr;  // [B,H]: what gru_gates leaves to gru_hidden: the update gate, and h behind the reset gate
  int64_t batch = 0, hidden = 0, block0 = 0, block1 = 0;
  bool last_first = false;  // the order of blocks: results do not depend on it
};
struct Cell {
  int lanes;
  void (*run)(Pass, const CellArgs&);
};

Support cells_support(const Spec&, double cost);
Kernel make_cells(const Spec&, const Cell&, isa::Mask isa);
}  // namespace kernels::rnn
