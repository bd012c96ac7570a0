// Nodes of ops that this build does not know, kept for the application to implement.
#include <algorithm>
#include "converter/onnx_node.h"

namespace converter {
void import_custom(OnnxNode& n) {
  schema::Custom op{n.domain(), n.op_type(), n.opset(), n.attributes(), {}, 0};
  for (size_t k = 0, count = std::max<size_t>(n.outputs(), 1); k < count; ++k) {
    const auto declared = n.declared_output(k);
    require(!declared || declared->is_tensor(), Code::unsupported, "output ", k, " is a ",
            name(declared ? declared->kind : ValueKind::tensor), ", and a custom op gives tensors");
    require(declared || (n.has(0) && n.type(0).is_tensor()), Code::unsupported, "the dtype of output ", k,
            " is declared nowhere, and there is no first input that it could have it from");
    op.outputs.push_back(declared ? declared->dtype : n.dtype(0));
  }
  n.finish(op, n.all());
}
}  // namespace converter
