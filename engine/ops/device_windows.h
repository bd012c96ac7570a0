// Convolutions, their transposes and pooling on a device, where no pass gives them a channels-last form: other numbers
// of spatial dims than two, groups, weights that only the run knows.
#pragma once
#include "engine/op.h"

namespace engine {
std::optional<Lowered> lower_direct(const schema::Conv&, const LowerContext&);
std::optional<Lowered> lower_direct(const schema::ConvTranspose&, const LowerContext&);
std::optional<Lowered> lower_direct(const schema::Pool&, const LowerContext&);
}  // namespace engine
