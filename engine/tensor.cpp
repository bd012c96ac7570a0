#include "engine/tensor.h"
#include <algorithm>
#include <new>

namespace engine {
namespace {
constexpr size_t alignment = 64;
}

void copy_elements(const View& to, int64_t to_first, const ConstView& from, int64_t from_first, int64_t count) {
  if (to.dtype == DType::string) {
    std::copy_n(from.as<std::string>().begin() + from_first, count, to.as<std::string>().begin() + to_first);
    return;
  }
  const int bits = bits_of(to.dtype);
  if (bits >= 8) {
    if (count > 0) std::memmove(to.data + to_first * (bits / 8), from.data + from_first * (bits / 8), count * (bits / 8));
    return;
  }
  for (int64_t i = 0; i < count; ++i) store(to, to_first + i, load<Int>(ConstView{bits == 4 ? DType::u4 : DType::u2, from.shape, from.data, nullptr}, from_first + i));
}

void copy_tensor(const View& to, const ConstView& from) {
  if (to.dtype == DType::string) return copy_elements(to, 0, from, 0, from.elements());
  if (from.bytes() <= 0) return;
  if (!from.pitch) {
    std::memmove(to.data, from.data, from.bytes());
    return;
  }
  const int64_t element = bits_of(from.dtype) / 8, matrix = from.shape.end()[-1] * from.shape.end()[-2], matrices = from.elements() / matrix;
  for (int64_t m = 0; m < matrices; ++m)
    std::memcpy(to.data + m * matrix * element, from.data + m * from.pitch * element, size_t(matrix * element));
}

std::vector<int64_t> to_ints(const ConstView& view) {
  std::vector<int64_t> values(view.elements());
  for (size_t i = 0; i < values.size(); ++i) values[i] = load<Int>(view, int64_t(i)).v;
  return values;
}

Bytes::Bytes(const Bytes& other) { *this = other; }
Bytes& Bytes::operator=(const Bytes& other) {
  if (this == &other) return *this;
  resize(other.size_);
  if (size_) std::memcpy(data_.get(), other.data_.get(), size_);
  return *this;
}
void Bytes::resize(size_t size) {
  if (size > capacity_) {
    data_.reset();
    capacity_ = size_ = 0;
    charge_.set(int64_t(size));
    data_.reset(static_cast<std::byte*>(::operator new(size, std::align_val_t(alignment))));
    capacity_ = size;
  }
  size_ = size;
}
void Bytes::Free::operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(alignment)); }

ConstantPtr make_constant(const ConstView& view) {
  auto object = std::make_shared<Object>();
  object->assign(view);
  const ConstView copy = std::as_const(*object).view();
  return std::make_shared<Constant>(Constant{copy.dtype, object->shape, copy.data, object, nullptr});
}

ConstantPtr make_ints(std::span<const int64_t> values) {
  const int64_t count = static_cast<int64_t>(values.size());
  return make_constant({DType::i64, std::span(&count, 1), reinterpret_cast<const std::byte*>(values.data()), nullptr});
}

ConstantPtr make_strings(Shape shape, std::vector<std::string> values) {
  return make_constant({DType::string, shape, reinterpret_cast<const std::byte*>(values.data()), nullptr});
}

bool same_contents(const Constant& a, const Constant& b) {
  if (a.dtype != b.dtype || a.shape != b.shape) return false;
  if (a.dtype == DType::string) return std::ranges::equal(a.view().as<std::string>(), b.view().as<std::string>());
  return a.data == b.data || a.bytes() == 0 || std::memcmp(a.data, b.data, a.bytes()) == 0;
}

View Object::set_tensor(DType new_dtype, std::span<const int64_t> new_shape) {
  kind = ValueKind::tensor, dtype = new_dtype;
  if (shape.data() != new_shape.data()) shape.assign(new_shape.begin(), new_shape.end());
  if (dtype == DType::string) {
    bytes_of(dtype, shape);
    charge_text(0);
    strings.assign(size_t(engine::elements(shape)), {});
  } else {
    bytes.resize(bytes_of(dtype, shape));
    if (bits_of(dtype) < 8 && bytes.size()) bytes.data()[bytes.size() - 1] = {};  // the bits after the last element
  }
  return view();
}

void Object::charge_text(int64_t characters) { text.set(engine::elements(shape) * int64_t(sizeof(std::string)) + characters); }

void Object::assign(const ConstView& from) {
  if (from.object == this) return;
  if (from.object && from.object->kind != ValueKind::tensor) {
    kind = from.object->kind, dtype = from.object->dtype;
    items.resize(from.object->items.size());
    for (size_t i = 0; i < items.size(); ++i) items[i].assign(from.object->items[i].view());
    return;
  }
  const View to = set_tensor(from.dtype, from.shape);
  if (dtype == DType::string) {
    int64_t characters = 0;
    for (const std::string& s : from.as<std::string>()) characters += int64_t(s.size());
    charge_text(characters);
  }
  copy_tensor(to, from);
}

void Object::set_empty(ValueKind new_kind, DType new_dtype) { kind = new_kind, dtype = new_dtype, items.clear(); }

View Object::view() {
  auto* data = dtype == DType::string ? reinterpret_cast<std::byte*>(strings.data()) : bytes.data();
  return {dtype, shape, data, this};
}
ConstView Object::view() const {
  auto* data = dtype == DType::string ? reinterpret_cast<const std::byte*>(strings.data()) : bytes.data();
  return {dtype, shape, data, this};
}
}  // namespace engine
