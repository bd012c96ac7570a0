#include "converter/op_sample.h"
#include <algorithm>
#include "converter/importer.h"

namespace converter {
namespace {
constexpr OpSample samples[] = {
#define OP(domain, since, text) {domain, since, text},
#include "converter/op_samples.def"
};

// Reads a sample, from front to back.
class Reader {
 public:
  Reader(const OpSample& sample, DTypeNames names) : all_(sample.text), rest_(sample.text), names_(std::move(names)) {}

  SampleModel read(const OpSample& sample, int opset) {
    SampleModel made{std::make_shared<onnx::ModelProto>(), {}, {}};
    made.model->set_ir_version(13);
    const auto import = [&](std::string_view domain, int version) {
      auto& entry = *made.model->add_opset_import();
      entry.set_domain(std::string(domain)), entry.set_version(version);
    };
    import("", opset);
    if (!sample.domain.empty()) import(sample.domain, sample.since);
    graph_ = made.model->mutable_graph();
    onnx::NodeProto& node = *graph_->add_node();
    node.set_name(sample_name), node.set_op_type(word()), node.set_domain(std::string(sample.domain));
    expect('(');
    for (int k = 0; !take(')'); ++k) read_input(node, cat("x", k), made.inputs);
    int outputs = 1;
    while (take(' ')) {
      if (take('-')) expect('>'), outputs = int(number());
      else read_attribute(*node.add_attribute());
    }
    if (!rest_.empty()) wrong();
    for (int k = 0; k < outputs; ++k) {
      node.add_output(cat("y", k));
      graph_->add_output()->set_name(cat("y", k));
    }
    made.names = std::move(names_);
    return made;
  }

 private:
  [[noreturn]] void wrong() const { fail(Code::internal, "sample '", all_, "' cannot be read from '", rest_, "' on"); }
  bool at(char c) const { return !rest_.empty() && rest_[0] == c; }
  bool take(char c) {
    if (!at(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) wrong();
  }
  std::string word() {
    size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) || rest_[n] == '_')) ++n;
    if (n == 0) wrong();
    const std::string text(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return text;
  }
  // An integer, or a number with a point; says which in `real`.
  double number(bool* real = nullptr) {
    size_t n = 0;
    while (n < rest_.size() && (std::isdigit(static_cast<unsigned char>(rest_[n])) || rest_[n] == '.')) ++n;
    if (n == 0) wrong();
    const std::string text(rest_.substr(0, n));
    rest_.remove_prefix(n);
    if (real) *real |= text.find('.') != text.npos;
    return std::stod(text);
  }
  std::string quoted() {
    expect('\'');
    const size_t end = rest_.find('\'');
    if (end == rest_.npos) wrong();
    const std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  // "2,3}" and the like.
  std::vector<double> numbers(char end, bool* real = nullptr) {
    std::vector<double> all;
    while (!take(end)) {
      if (!all.empty()) expect(',');
      all.push_back(number(real));
    }
    return all;
  }
  // "f32", "T", or "T:i64" where a name comes first.
  DType dtype() {
    const std::string name = word();
    const auto known = std::ranges::find(schema::names<DType>, name);
    if (known != schema::names<DType>.end()) return DType(known - schema::names<DType>.begin());
    const DType fallback = take(':') ? dtype() : DType::f32;
    return names_.emplace(name, fallback).first->second;
  }

  static Object filled(DType dtype, const Shape& shape, const std::vector<double>& values) {
    Object object;
    const View view = object.set_tensor(dtype, shape);
    if (dtype == DType::string) {
      std::ranges::fill(object.strings, "1");
      return object;
    }
    std::fill_n(view.data, view.bytes(), std::byte{});
    for (int64_t i = 0; i < view.elements(); ++i) {
      const double value = values.empty() ? 1 : values[size_t(i) % values.size()];
      if (schema::is_real(dtype)) store(view, i, value);
      else store(view, i, Int(value));
    }
    return object;
  }

  void read_input(onnx::NodeProto& node, const std::string& name, std::vector<Object>& inputs) {
    take(' ');
    if (take('_')) {
      node.add_input();
      return;
    }
    const bool captured = take('^'), convolved = take('*');
    const bool sequence = rest_.starts_with("seq("), optional = rest_.starts_with("opt("), map = rest_.starts_with("map(");
    if (sequence || optional || map) rest_.remove_prefix(4);
    const DType element = dtype();
    expect('[');
    const std::vector<double> extents = numbers(']');
    Object x = filled(element, Shape(extents.begin(), extents.end()), {});
    if (sequence || optional) {
      expect(')');
      Object whole;
      whole.set_empty(sequence ? ValueKind::sequence : ValueKind::optional, element);
      whole.items.push_back(std::move(x));
      x = std::move(whole);
    }
    if (map) {
      expect(')');
      Object whole, keys;
      const View places = keys.set_tensor(DType::i64, x.shape);
      for (int64_t i = 0; i < places.elements(); ++i) store(places, i, Int(i));
      whole.set_empty(ValueKind::map, element);
      whole.items.push_back(std::move(keys)), whole.items.push_back(std::move(x));
      x = std::move(whole);
    }
    if (convolved) add_convolution(x);
    if (!captured) node.add_input(convolved ? "convolved" : name);
    if (take('{')) {
      x = filled(element, x.shape, numbers('}'));
      onnx::TensorProto& constant = *graph_->add_initializer();
      write_tensor(constant, std::as_const(x).view());
      constant.set_name(name);
      return;
    }
    onnx::ValueInfoProto& input = *graph_->add_input();
    input.set_name(name);
    onnx::TypeProto* type = input.mutable_type();
    if (sequence) type = type->mutable_sequence_type()->mutable_elem_type();
    if (optional) type = type->mutable_optional_type()->mutable_elem_type();
    if (map) {
      type->mutable_map_type()->set_key_type(onnx_dtype(DType::i64));
      type = type->mutable_map_type()->mutable_value_type();
    }
    type->mutable_tensor_type()->set_elem_type(onnx_dtype(element));
    for (double d : extents) type->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(int64_t(d));
    inputs.push_back(std::move(x));
  }

  // x0 becomes what a convolution by ones makes of it.
  void add_convolution(const Object& x) {
    onnx::TensorProto& weights = *graph_->add_initializer();
    const Object ones = filled(x.dtype, {x.shape.at(1), x.shape[1], 1, 1}, {});
    write_tensor(weights, ones.view());
    weights.set_name("weights");
    onnx::NodeProto& node = *graph_->add_node();
    node.set_op_type("Conv"), node.add_input("x0"), node.add_input("weights"), node.add_output("convolved");
  }

  void read_attribute(onnx::AttributeProto& attribute) {
    using onnx::AttributeProto;
    attribute.set_name(word());
    expect('=');
    if (at('\'')) {
      attribute.set_type(AttributeProto::STRING), attribute.set_s(quoted());
    } else if (take('[')) {
      read_list(attribute);
    } else if (take('{')) {
      attribute.set_type(AttributeProto::GRAPH), read_body(*attribute.mutable_g());
    } else if (std::isdigit(static_cast<unsigned char>(rest_.empty() ? 'x' : rest_[0]))) {
      bool real = false;
      const double value = number(&real);
      if (real) attribute.set_type(AttributeProto::FLOAT), attribute.set_f(float(value));
      else attribute.set_type(AttributeProto::INT), attribute.set_i(int64_t(value));
    } else {
      const DType type = dtype();
      if (take('{')) {
        const std::vector<double> values = numbers('}');
        const Object value = filled(type, {int64_t(values.size())}, values);
        attribute.set_type(AttributeProto::TENSOR), write_tensor(*attribute.mutable_t(), value.view());
      } else {
        attribute.set_type(AttributeProto::INT), attribute.set_i(onnx_dtype(type));
      }
    }
  }
  void read_list(onnx::AttributeProto& attribute) {
    using onnx::AttributeProto;
    if (at('\'')) {
      attribute.set_type(AttributeProto::STRINGS);
      do attribute.add_strings(quoted());
      while (take(','));
      return expect(']');
    }
    bool real = false;
    const std::vector<double> values = numbers(']', &real);
    attribute.set_type(real ? AttributeProto::FLOATS : AttributeProto::INTS);
    for (double v : values) real ? attribute.add_floats(float(v)) : attribute.add_ints(int64_t(v));
  }
  void read_body(onnx::GraphProto& body) {
    for (bool first = true; !take('|'); first = false) {
      if (!first) expect(' ');
      body.add_input()->set_name(word());
    }
    for (bool first = true; !take('}'); first = false) {
      if (!first) expect(' ');
      onnx::NodeProto& node = *body.add_node();
      const std::string output = word();
      body.add_output()->set_name(output);
      node.set_op_type("Identity"), node.add_output(output);
      expect('=');
      node.add_input(word());
    }
  }

  const std::string_view all_;
  std::string_view rest_;
  DTypeNames names_;
  onnx::GraphProto* graph_ = nullptr;
};
}  // namespace

std::span<const OpSample> op_samples() { return samples; }

SampleModel make_model(const OpSample& sample, int opset, const DTypeNames& names) {
  return Reader(sample, names).read(sample, opset);
}
}  // namespace converter
