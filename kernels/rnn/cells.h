// A recurrent net whose step is one pass over the recurrent weights: for each vector of hidden units the sums of all gates
// stay in registers until the new state is made of them.
#pragma once
#include "kernels/rnn/rnn.h"

namespace kernels::rnn {
// One step of some blocks of hidden units, `lanes` of them each. Rows of states are [B,H]; h and next are not the same.
struct CellArgs {
  const float* r;        // [blocks][H][G][lanes], units past H as zeros
  const float* bias;     // gru: rb of the hidden gate, [blocks][lanes]
  const float* gates_x;  // [B,G*H]: w·x and the other biases
  const float* h;
  float *next, *c;
  int64_t batch, hidden, block0, block1;
};
struct Cell {
  int lanes;
  void (*step)(schema::RnnKind, const CellArgs&);
};

Support cells_support(const Spec&, double cost);
Kernel make_cells(const Spec&, const Cell&, isa::Mask isa);
}  // namespace kernels::rnn
