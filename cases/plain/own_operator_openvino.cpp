// Squareplus for OpenVINO, in terms of its own operations: from ONNX's node, and from PyTorch's.
#include <memory>
#include <openvino/core/extension.hpp>
#include <openvino/frontend/extension/conversion.hpp>
#include <openvino/frontend/onnx/extension/conversion.hpp>
#include <openvino/op/add.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/divide.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/sqrt.hpp>
#include <vector>

namespace {

namespace op = ov::op;

// (x + sqrt(x² + b)) / 2
ov::OutputVector squareplus(const ov::Output<ov::Node>& x, double b) {
  const auto bend = op::v0::Constant::create(ov::element::f32, {}, {b});
  const auto two = op::v0::Constant::create(ov::element::f32, {}, {2.0});
  const auto square = std::make_shared<op::v1::Multiply>(x, x);
  const auto root = std::make_shared<op::v0::Sqrt>(std::make_shared<op::v1::Add>(square, bend));
  return std::make_shared<op::v1::Divide>(std::make_shared<op::v1::Add>(x, root), two)->outputs();
}

ov::OutputVector from_onnx(const ov::frontend::NodeContext& node) {
  return squareplus(node.get_input(0), node.get_attribute<float>("b"));
}

ov::OutputVector from_torch(const ov::frontend::NodeContext& node) {
  return squareplus(node.get_input(0), node.get_values_from_const_input(1).as<double>());
}

}  // namespace

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::frontend::onnx::ConversionExtension>("Squareplus", "own_operator",
                                                              from_onnx),
    std::make_shared<ov::frontend::ConversionExtension>("own_operator.squareplus.default",
                                                        from_torch),
}));
