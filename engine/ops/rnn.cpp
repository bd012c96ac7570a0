#include "engine/ops/doubles.h"
#include "engine/op.h"
#include "engine/ops/lowering.h"

namespace engine {
namespace {
using schema::Rnn, schema::RnnKind, schema::RnnDirection;

int64_t gates(const Rnn& op) { return op.kind == RnnKind::rnn ? 1 : op.kind == RnnKind::gru ? 3 : 4; }
int64_t directions(const Rnn& op) { return op.direction == RnnDirection::bidirectional ? 2 : 1; }
size_t functions(const Rnn& op) { return op.kind == RnnKind::rnn ? 1 : op.kind == RnnKind::gru ? 2 : 3; }

// --- Activations -----------------------------------------------------------------------------------------------------

struct Activation {
  std::string_view name;
  double (*f)(double x, double a, double b) = nullptr;
  int parameters = 0;
  double a = 0, b = 0;
};
constexpr Activation known_activations[] = {
    {"relu", [](double x, double, double) { return std::max(0.0, x); }},
    {"tanh", [](double x, double, double) { return std::tanh(x); }},
    {"sigmoid", [](double x, double, double) { return 1 / (1 + std::exp(-x)); }},
    {"affine", [](double x, double a, double b) { return a * x + b; }, 2, 1, 0},
    {"leakyrelu", [](double x, double a, double) { return x < 0 ? a * x : x; }, 1, 0.01},
    {"thresholdedrelu", [](double x, double a, double) { return x > a ? x : 0; }, 1, 1},
    {"scaledtanh", [](double x, double a, double b) { return a * std::tanh(b * x); }, 2, 1, 1},
    {"hardsigmoid", [](double x, double a, double b) { return std::clamp(a * x + b, 0.0, 1.0); }, 2, 0.2, 0.5},
    {"elu", [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }, 1, 1},
    {"softsign", [](double x, double, double) { return x / (1 + std::fabs(x)); }},
    {"softplus", [](double x, double, double) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }},
};

// One per function and direction. Each takes the next of alpha and of beta, if it has such a parameter.
std::vector<Activation> activations(const Rnn& op) {
  const size_t per_direction = functions(op), count = per_direction * size_t(directions(op));
  check(op.activations.empty() || op.activations.size() == count, "there are ", op.activations.size(), " activations where ", count, " are needed");
  std::vector<Activation> all;
  size_t alphas = 0, betas = 0;
  for (size_t k = 0; k < count; ++k) {
    std::string wanted = op.activations.empty() ? (k % per_direction || op.kind == RnnKind::rnn ? "tanh" : "sigmoid") : op.activations[k];
    for (char& c : wanted) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    const auto found = std::ranges::find(known_activations, wanted, &Activation::name);
    check(found != std::end(known_activations), "activation '", wanted, "' is not known");
    all.push_back(*found);
    if (found->parameters >= 1 && alphas < op.alpha.size()) all.back().a = op.alpha[alphas++];
    if (found->parameters >= 2 && betas < op.beta.size()) all.back().b = op.beta[betas++];
  }
  return all;
}

// --- Types -----------------------------------------------------------------------------------------------------------

Types infer(const Rnn& op, const InferContext& in) {
  const bool lstm = op.kind == RnnKind::lstm;
  in.expect_inputs(3, lstm ? 8 : 6);
  in.expect_class(0, schema::DTypeClass::real);
  check(in.outputs() <= (lstm ? 3 : 2), name(op.kind), " has ", lstm ? 3 : 2, " outputs");
  activations(op);
  Dim time = Dim::unknown(), batch = Dim::unknown(), hidden = op.hidden ? Dim(op.hidden) : Dim::unknown(), width = Dim::unknown();
  const Dim direction = directions(op);
  check(op.hidden >= 0 && op.hidden <= limits::extent, "hidden is ", op.hidden);
  const auto meet = [&](size_t k, const char* what, std::initializer_list<Dim*> dims) {
    if (!in.has(k)) return;
    const Type& t = in.in(k);
    if (k != 4) in.expect_same_dtype(0, k);
    if (!t.ranked) return;
    check(t.dims.size() == dims.size(), what, " is ", t, " where rank ", dims.size(), " is needed");
    size_t i = 0;
    for (Dim* d : dims) {
      check(may_equal(*d, t.dims[i]), what, " is ", t, ": dim ", i, " must be ", d->text());
      if (!d->known() && (t.dims[i].known() || d->text() == "?")) *d = t.dims[i];
      ++i;
    }
  };
  Dim d = direction, per_gate = Dim::unknown();
  meet(0, "x", {&time, &batch, &width});
  meet(2, "r", {&d, &per_gate, &hidden});
  Dim rows = hidden * gates(op), biases = rows * 2, peepholes = hidden * 3;
  check(may_equal(per_gate, rows), "r is ", in.in(2), ": dim 1 must be ", rows.text());
  meet(1, "w", {&d, &rows, &width});
  meet(3, "b", {&d, &biases});
  if (in.has(4)) in.expect_dtype(4, {DType::i32});
  meet(4, "sequence lengths", {&batch});
  meet(5, "the first h", {&d, &batch, &hidden});
  meet(6, "the first c", {&d, &batch, &hidden});
  meet(7, "the peepholes", {&d, &peepholes});
  const DType dtype = in.in(0).dtype;
  const Type state = Type::tensor(dtype, {direction, batch, hidden});
  Types types{Type::tensor(dtype, {time, direction, batch, hidden}), state, state};
  types.resize(in.outputs());
  return types;
}

// --- One direction ---------------------------------------------------------------------------------------------------

// m [rows, columns] of a direction, transposed, so that a product with it runs along rows.
Scratch<double> transposed(const Scratch<double>& m, int64_t direction, int64_t rows, int64_t columns) {
  Scratch<double> t(size_t(rows * columns));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) t[j * rows + i] = m[(direction * rows + i) * columns + j];
  return t;
}

// to[i] += sum of v[j] * m[j, first + i], m having `rows` columns.
void add_product(double* __restrict to, int64_t count, std::span<const double> v, const Scratch<double>& m, int64_t rows, int64_t first) {
  for (size_t j = 0; j < v.size(); ++j) {
    const double x = v[j], *__restrict row = m.data() + int64_t(j) * rows + first;
    for (int64_t i = 0; i < count; ++i) to[i] += x * row[i];
  }
}

struct Cell {
  const Rnn& op;
  int64_t hidden;
  std::vector<Activation> functions;
  Scratch<double> w, r, wb, rb, peepholes;  // transposed; wb and rb: the biases of either product
  Scratch<double> gate, other, reset;

  double call(size_t k, double x) const {
    if (op.clip > 0) x = std::clamp(x, -op.clip, op.clip);
    return functions[k].f(x, functions[k].a, functions[k].b);
  }

  // One step: h, and for LSTM c, become the next ones.
  void step(std::span<const double> x, std::span<double> h, std::span<double> c) {
    const int64_t n = hidden, rows = gates(op) * n;
    gate = wb, other = rb;
    add_product(gate.data(), rows, x, w, rows, 0);
    if (op.kind == RnnKind::rnn) {
      add_product(gate.data(), rows, h, r, rows, 0);
      for (int64_t i = 0; i < n; ++i) h[i] = call(0, gate[i] + other[i]);
    } else if (op.kind == RnnKind::gru) {  // gates: update, reset, hidden
      add_product(other.data(), op.linear_before_reset ? rows : 2 * n, h, r, rows, 0);
      for (int64_t i = 0; i < 2 * n; ++i) gate[i] = call(0, gate[i] + other[i]);
      if (!op.linear_before_reset) {
        reset.assign(size_t(n), 0);
        for (int64_t i = 0; i < n; ++i) reset[i] = gate[n + i] * h[i];
        add_product(other.data() + 2 * n, n, reset, r, rows, 2 * n);
      }
      for (int64_t i = 0; i < n; ++i) {
        const double g = call(1, gate[2 * n + i] + other[2 * n + i] * (op.linear_before_reset ? gate[n + i] : 1));
        h[i] = (1 - gate[i]) * g + gate[i] * h[i];
      }
    } else {  // gates: input, output, forget, cell
      add_product(gate.data(), rows, h, r, rows, 0);
      for (int64_t i = 0; i < rows; ++i) gate[i] += other[i];
      const auto peep = [&](int64_t k, int64_t i, double cell) { return peepholes.empty() ? 0 : peepholes[k * n + i] * cell; };
      for (int64_t i = 0; i < n; ++i) {
        const double input = call(0, gate[i] + peep(0, i, c[i]));
        const double forget = op.input_forget ? 1 - input : call(0, gate[2 * n + i] + peep(2, i, c[i]));
        c[i] = forget * c[i] + input * call(1, gate[3 * n + i]);
        h[i] = call(0, gate[n + i] + peep(1, i, c[i])) * call(2, c[i]);
      }
    }
  }
};

void reference(const Rnn& op, RunContext& c) {
  const auto xs = c.in(0).shape;
  const int64_t time = xs[0], batch = xs[1], width = xs[2], hidden = c.in(2).shape[2], rows = gates(op) * hidden, count = directions(op);
  const auto input = [&](size_t k) { return c.has(k) ? to_doubles(c.in(k)) : Scratch<double>(); };
  const auto x = input(0), w = input(1), r = input(2), b = input(3), h0 = input(5), c0 = input(6), peepholes = input(7);
  std::vector<int64_t> lengths = c.has(4) ? to_ints(c.in(4)) : std::vector<int64_t>(size_t(batch), time);
  for (int64_t length : lengths) check(length >= 0 && length <= time, "sequence length ", length, " is out of range for ", time, " steps");
  const auto all = activations(op);
  const Scratch<double> zeros(size_t(c.wants(0) ? hidden : 0));
  for (int64_t d = 0; d < count; ++d) {
    const bool reverse = op.direction == RnnDirection::reverse || d == 1;
    Cell cell{op, hidden, {all.begin() + d * int64_t(functions(op)), all.begin() + (d + 1) * int64_t(functions(op))},
              transposed(w, d, rows, width), transposed(r, d, rows, hidden), Scratch<double>(size_t(rows)), Scratch<double>(size_t(rows)), {}, {}, {}, {}};
    if (!b.empty()) std::copy_n(b.begin() + d * 2 * rows, rows, cell.wb.begin()), std::copy_n(b.begin() + (d * 2 + 1) * rows, rows, cell.rb.begin());
    if (!peepholes.empty()) cell.peepholes.assign(peepholes.begin() + d * 3 * hidden, peepholes.begin() + (d + 1) * 3 * hidden);
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t at = (d * batch + n) * hidden;
      Scratch<double> h(static_cast<size_t>(hidden)), state(static_cast<size_t>(hidden));
      if (!h0.empty()) std::copy_n(h0.begin() + at, hidden, h.begin());
      if (!c0.empty()) std::copy_n(c0.begin() + at, hidden, state.begin());
      for (int64_t s = 0; s < time; ++s) {
        const bool live = s < lengths[n];
        const int64_t t = live && reverse ? lengths[n] - 1 - s : s;
        if (live) cell.step(std::span(x).subspan(size_t((t * batch + n) * width), size_t(width)), h, state);
        if (c.wants(0)) store_doubles(c.out(0), ((t * count + d) * batch + n) * hidden, live ? h : zeros);
      }
      if (c.wants(1)) store_doubles(c.out(1), at, h);
      if (c.wants(2)) store_doubles(c.out(2), at, state);
    }
  }
}

double flops(const Rnn&, std::span<const Type> in, std::span<const Type>) {
  if (!in[0].determined() || !in[1].determined() || !in[2].determined()) return 0;
  return 2.0 * double(in[0].dims[0].value()) * double(in[0].dims[1].value()) * double(elements(in[1].shape()) + elements(in[2].shape()));
}
}  // namespace

const OpDef<Rnn>& def(const Rnn&) {
  static constexpr OpDef<Rnn> def{.infer = infer, .reference = reference, .lower = lower_rnn, .on_device = true, .flops = flops};
  return def;
}
}  // namespace engine
