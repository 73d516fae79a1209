# The training step of a CIFAR net in JAX, for bench --against-jax: the same net, batch,
# precision, recipe and augmentation as ours, channels-last, bf16 with float32 parameters
# and statistics, batch norm over the whole batch. On a GPU all steps of a line are one
# jitted loop; on a CPU, where XLA is slow at loops, each step is a jitted call.
#
#   python jax_step.py NET BATCH fp32|tf32|bf16 cpu|cuda THREADS
#
# Input and output are as in torch_step.py. Needs: pip install jax, or 'jax[cuda13]'
import functools
import os
import sys
import time

net, batch, precision, device = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5]
parts = net.split("/")
family, depth = parts[0].split("-")
if set(parts[1:]) - {"A", "B", "C", "split"} or int(depth) % 6 != 2 or int(depth) in (50, 152):  # the two are ImageNet nets
    sys.exit(print(f"skip {net}: jax_step.py has only CIFAR nets of basic blocks"))
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other processes use the GPU, too
if device == "cpu":
    os.environ["JAX_PLATFORMS"] = "cpu"
try:
    import jax
    import jax.numpy as jnp
    from jax import lax
except ImportError:
    sys.exit(print(f"skip {sys.executable} has no JAX (pip install 'jax[cuda13]', or jax for a CPU)"))
try:
    backend = jax.default_backend()
except RuntimeError as e:
    sys.exit(print("skip JAX does not start:", str(e).strip().splitlines()[0]))
if (backend == "cpu") != (device == "cpu"):
    sys.exit(print(f"skip JAX {jax.__version__} in {sys.executable} finds no GPU"))

jax.config.update("jax_default_matmul_precision", {"fp32": "highest", "tf32": "tensorfloat32", "bf16": "default"}[precision])
held = jnp.bfloat16 if precision == "bf16" else jnp.float32
shortcut = "none" if family == "plain" else next((p for p in parts[1:] if p in "ABC"), "A")
split = "split" in parts
blocks, i = [], 16  # (name, input channels, output channels, stride)
for stage, o in enumerate((16, 32, 64)):
    for k in range((int(depth) - 2) // 6):
        blocks.append((f"layer{stage + 1}.{k}", i, o, 2 if k == 0 and stage else 1))
        i = o


def first(key):
    params, stats = {}, {}

    def conv(name, size, i, o):
        nonlocal key
        key, k = jax.random.split(key)
        params[name] = jax.random.normal(k, (size, size, i, o)) * (2 / (size * size * i)) ** 0.5
        params[name + ".scale"], params[name + ".shift"] = jnp.ones(o), jnp.zeros(o)
        stats[name] = jnp.zeros(o), jnp.ones(o)

    conv("conv1", 3, 3, 16)
    for name, i, o, _ in blocks:
        conv(name + ".conv1", 3, i, o)
        conv(name + ".conv2", 3, o, o)
        if shortcut == "C" or (shortcut == "B" and i != o):
            conv(name + ".down", 1, i, o)
    params["fc"], params["fc.bias"] = jax.random.uniform(key, (64, 10), minval=-0.125, maxval=0.125), jnp.zeros(10)
    return params, stats


def loss_of(params, stats, x, labels):
    after = {}

    def conv(name, x, stride=1):
        w = params[name].astype(held)
        pad = [(w.shape[0] // 2,) * 2] * 2
        y = lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC")).astype(jnp.float32)
        mean, var = y.mean((0, 1, 2)), y.var((0, 1, 2))
        n = y.size / y.shape[-1]
        after[name] = 0.9 * stats[name][0] + 0.1 * mean, 0.9 * stats[name][1] + 0.1 * var * n / (n - 1)
        return ((y - mean) * lax.rsqrt(var + 1e-5) * params[name + ".scale"] + params[name + ".shift"]).astype(held)

    x = jax.nn.relu(conv("conv1", x.astype(held)))
    for name, i, o, stride in blocks:
        y = conv(name + ".conv2", jax.nn.relu(conv(name + ".conv1", x, stride)))
        if name + ".down" in params:
            y += conv(name + ".down", x, stride)
        elif shortcut != "none":
            before = (o - i) // 2 if split else 0
            y += jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (before, o - i - before)))
        x = jax.nn.relu(y)
    y = x.astype(jnp.float32).mean((1, 2)) @ params["fc"] + params["fc.bias"]
    loss = -jnp.take_along_axis(jax.nn.log_softmax(y), labels[:, None], 1).mean()
    return loss, (after, (y.argmax(1) != labels).sum())


def augmented(key, images, labels):
    index, place, flip = jax.random.split(key, 3)
    index = jax.random.randint(index, (batch,), 0, len(images))
    top, left = jax.random.randint(place, (2, batch), 0, 9)
    places = jnp.arange(32)
    columns = jnp.where(jax.random.bernoulli(flip, shape=(batch, 1)), places[::-1], places) + left[:, None]
    rows = places[None] + top[:, None]
    x = images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    return x.astype(jnp.float32) - 128, labels[index]


def step(number, state, images, labels):
    params, momenta, stats, losses, wrong = state
    x, y = augmented(jax.random.fold_in(jax.random.key(1), number), images, labels)
    (loss, (stats, errors)), grads = jax.value_and_grad(loss_of, has_aux=True)(params, stats, x, y)
    momenta = jax.tree.map(lambda m, g, w: 0.9 * m + g + 1e-4 * w, momenta, grads, params)
    params = jax.tree.map(lambda w, m: w - 0.01 * m, params, momenta)
    return params, momenta, stats, losses + loss, wrong + errors


@functools.partial(jax.jit, donate_argnums=1)
def loop(n, state, images, labels):
    return lax.fori_loop(0, n, lambda i, s: step(i, s, images, labels), state)


once = jax.jit(step, donate_argnums=1)
images = jnp.pad(jax.random.randint(jax.random.key(2), (10000, 32, 32, 3), 0, 256).astype(jnp.uint8), ((0, 0), (4, 4), (4, 4), (0, 0)), constant_values=128)
labels = jax.random.randint(jax.random.key(3), (10000,), 0, 10)
params, stats = jax.jit(first)(jax.random.key(0))
state = params, jax.tree.map(jnp.zeros_like, params), stats, jnp.zeros(()), jnp.zeros((), jnp.int32)


def run(n):
    global state
    if device == "cpu":
        for i in range(n):
            state = once(i, state, images, labels)
    else:
        state = loop(n, state, images, labels)
    return float(state[3]), int(state[4])  # waits for the device


try:
    run(3)
except Exception as e:
    sys.exit(print("skip", type(e).__name__, next(iter(str(e).strip().splitlines()), "")))
print("ready", jax.__version__, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    run(int(line))
    print(time.perf_counter() - start, flush=True)
