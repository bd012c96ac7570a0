// The product of one-hot rows and a constant matrix takes rows of the matrix, as Flax and TensorFlow embed tokens:
// MatMul(Cast(Equal(ids [...,1], 0 … C-1)), w [C,N]) is a Gather. An id that is none of them takes a row of zeros.
#include <algorithm>
#include "converter/convert.h"
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

namespace converter {
using namespace engine;
using schema::BinaryKind;
namespace {
class OneHotFuser : Match {
 public:
  explicit OneHotFuser(Graph& graph) : Match(graph), rewriter_(graph) {}
  bool run() {
    for (size_t n = 0, count = graph_.nodes.size(); n < count; ++n) fuse(graph_.nodes[n]);
    return rewriter_.commit();
  }

 private:
  // 0, 1, … along the last dim, and nothing else.
  bool counts(ValueId v, int64_t classes) const {
    const Constant* c = graph_[v].constant.get();
    if (!c || !schema::is_integer(c->dtype) || c->shape.empty() || c->shape.back() != classes || c->view().elements() != classes) return false;
    for (int64_t i = 0; i < classes; ++i)
      if (load<Int>(c->view(), i).v != i) return false;
    return true;
  }
  // Numbers, one in each row of the last dim.
  bool ids(ValueId v) const {
    const Type& t = graph_[v].type;
    return t.ranked && t.rank() >= 1 && t.dims.back() == Dim(1) && (t.dtype == DType::i32 || t.dtype == DType::i64);
  }

  void fuse(const Node node) {
    const auto* product = node.op.get_if<schema::MatMul>();
    const Constant* w = product ? graph_[node.inputs[1]].constant.get() : nullptr;
    if (!w || product->trans_a || product->trans_b || w->shape.size() != 2 || w->shape[0] == 0 || !schema::is_real(w->dtype)) return;
    const auto [cast, to] = made_by<schema::Cast>(node.inputs[0]);
    const auto [equal, kind] = made_by<schema::Binary>(to ? cast->inputs[0] : ValueId::none);
    if (!kind || kind->kind != BinaryKind::equal) return;
    const int64_t classes = w->shape[0], columns = w->shape[1];
    const bool second = counts(equal->inputs[1], classes);
    const ValueId given = equal->inputs[second ? 0 : 1];
    if ((!second && !counts(equal->inputs[0], classes)) || !ids(given) || graph_[given].type.rank() < int64_t(graph_[equal->inputs[second ? 1 : 0]].type.rank())) return;
    Origins origins = equal->origins;
    for (const Node* more : {cast, &node}) origins.insert(origins.end(), more->origins.begin(), more->origins.end());
    const DType integers = graph_[given].type.dtype;
    const auto number = [&](int64_t v) { return graph().add_constant(make_scalar(integers, v)); };
    const auto binary = [&](BinaryKind op, ValueId a, ValueId b) { return rewriter_.add(schema::Binary{op}, {a, b}, origins)[0]; };
    // Rows of zeros lie in front of w and behind it.
    const ValueId inside = binary(BinaryKind::min, binary(BinaryKind::max, given, number(-1)), number(classes));
    const ValueId rows = rewriter_.add(schema::Squeeze{}, {binary(BinaryKind::add, inside, number(1)), graph().add_constant(make_ints({-1}))}, origins)[0];
    Object wide;
    const View table = wide.set_tensor(w->dtype, Shape{classes + 2, columns});
    std::fill_n(table.data, table.bytes(), std::byte{});
    copy_elements(table, columns, w->view(), 0, classes * columns);
    const ValueId y = rewriter_.add(schema::Gather{0}, {graph().add_constant(make_constant(std::as_const(wide).view())), rows}, origins)[0];
    graph()[y].name = graph_[node.outputs[0]].name;
    rewriter_.replace(node.outputs[0], y);
  }
  Graph& graph() { return rewriter_.graph; }

  Rewriter rewriter_;
};
}  // namespace

bool fuse_one_hot(Graph& graph) {
  const bool inner = change_bodies(graph, fuse_one_hot);
  return OneHotFuser(graph).run() || inner;
}
}  // namespace converter
