#include "tools/problem_fields.h"
#include <algorithm>
#include <charconv>

namespace tools {
namespace {
[[noreturn]] void wrong(const std::string& field, const std::string& why) {
  throw ProblemError("field '" + field + "': " + why);
}

std::vector<int64_t> parse_numbers(const std::string& field, std::string_view text) {
  std::vector<int64_t> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at != end;) {
    int64_t n = 0;
    const auto [next, error] = std::from_chars(at, end, n);
    const bool more = next != end && *next == 'x' && next + 1 != end;
    if (error != std::errc() || n < 0 || (next != end && !more)) wrong(field, "expects numbers with an x between them");
    numbers.push_back(n);
    at = more ? next + 1 : end;
  }
  return numbers;
}
}  // namespace

ProblemFields::ProblemFields(const std::string& text) {
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    Field field{text.substr(at, end - at), {}, {}};
    if (field.text.empty()) wrong("", "is empty");
    const size_t last = field.text.find_last_not_of("0123456789x");  // of the word, but for an x
    const size_t split =
        std::min(field.text.find_first_not_of('x', last == std::string::npos ? 0 : last + 1), field.text.size());
    field.name = field.text.substr(0, split);
    field.numbers = parse_numbers(field.text, std::string_view(field.text).substr(split));
    fields_.push_back(std::move(field));
    at = end + 1;
  }
}

ProblemFields::Field* ProblemFields::find(std::string_view name) {
  const auto it = std::ranges::find(fields_, name, &Field::name);
  if (it == fields_.end()) return nullptr;
  if (it->used) wrong(it->text, "cannot be used twice");
  it->used = true;
  return &*it;
}

bool ProblemFields::flag(std::string_view name) {
  const Field* field = find(name);
  if (field && !field->numbers.empty()) wrong(field->text, "takes no number");
  return field;
}

std::vector<int64_t> ProblemFields::numbers(std::string_view name, size_t count, int64_t least, int64_t most,
                                            std::optional<int64_t> fallback) {
  const Field* field = find(name);
  if (!field) {
    if (!fallback) wrong(std::string(name), "is missing");
    return std::vector<int64_t>(count, *fallback);
  }
  const std::vector<int64_t>& given = field->numbers;
  if (given.empty() || given.size() > count || count % given.size())
    wrong(field->text, count == 1   ? "takes one number"
                       : count == 2 ? "takes 1 or 2 numbers"
                                    : "takes 1, 2 or 4 numbers");
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < count; ++i) {
    numbers.push_back(given[i % given.size()]);
    if (numbers[i] < least || numbers[i] > most)
      wrong(field->text, "takes numbers from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return numbers;
}

std::vector<int64_t> ProblemFields::extents(size_t count, const char* what, int64_t most) {
  const Field* field = find("");
  if (!field) wrong(what, "is missing");
  if (field->numbers.size() != count) wrong(field->text, std::string("is not of the form ") + what);
  for (int64_t n : field->numbers)
    if (n < 1 || n > most) wrong(field->text, "takes numbers from 1 to " + std::to_string(most));
  return field->numbers;
}

std::string ProblemFields::word(const char* what) {
  const auto it = std::ranges::find(fields_, false, &Field::used);
  if (it == fields_.end()) wrong(what, "is missing");
  it->used = true;
  return it->text;
}

void ProblemFields::finish() const {
  for (const Field& field : fields_)
    if (!field.used) wrong(field.text, "is none that this family has, or is given twice");
}
}  // namespace tools
