// Squareplus as an operator of one's own for PyTorch: kernel, shape and gradient, all in C++.
#include <torch/torch.h>

#include <cmath>

namespace {

using torch::Tensor;

// (x + sqrt(x² + b)) / 2, element by element.
Tensor squareplus_cpu(const Tensor& x, double b) {
  const Tensor from = x.contiguous();
  Tensor to = torch::empty_like(from);
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "squareplus", [&] {
    const auto* in = from.const_data_ptr<scalar_t>();
    auto* out = to.mutable_data_ptr<scalar_t>();
    const auto bend = static_cast<scalar_t>(b);
    for (int64_t i = 0; i < from.numel(); ++i) {
      out[i] = (in[i] + std::sqrt(in[i] * in[i] + bend)) / 2;
    }
  });
  return to;
}

// What exporters ask: the shape of the result, without numbers.
Tensor squareplus_meta(const Tensor& x, double /*b*/) {
  return torch::empty_like(x, torch::MemoryFormat::Contiguous);
}

Tensor squareplus(const Tensor& x, double b) {
  static const auto call = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("own_operator::squareplus", "")
                               .typed<Tensor(const Tensor&, double)>();
  return call.call(x, b);
}

class Squareplus : public torch::autograd::Function<Squareplus> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, double b) {
    const at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({x});
    context->saved_data["b"] = b;
    return squareplus(x, b);
  }

  // d/dx = (1 + x / sqrt(x² + b)) / 2
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const Tensor x = context->get_saved_variables()[0];
    const double b = context->saved_data["b"].toDouble();
    return {outer[0] * (1 + x / (x * x + b).sqrt()) / 2, Tensor()};
  }
};

Tensor squareplus_autograd(const Tensor& x, double b) { return Squareplus::apply(x, b); }

}  // namespace

TORCH_LIBRARY(own_operator, library) {
  library.def("squareplus(Tensor x, float b) -> Tensor");
  // The variant that ExecuTorch calls. PyTorch never does, so that there is no kernel for it.
  library.def("squareplus.out(Tensor x, float b, *, Tensor(a!) out) -> Tensor(a!)");
}
TORCH_LIBRARY_IMPL(own_operator, CPU, library) { library.impl("squareplus", squareplus_cpu); }
TORCH_LIBRARY_IMPL(own_operator, Meta, library) { library.impl("squareplus", squareplus_meta); }
TORCH_LIBRARY_IMPL(own_operator, Autograd, library) {
  library.impl("squareplus", squareplus_autograd);
}
