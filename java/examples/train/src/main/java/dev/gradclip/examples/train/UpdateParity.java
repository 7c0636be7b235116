// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.manual_seed;
import static org.bytedeco.pytorch.global.torch.randn_like;

import dev.gradclip.AdamUpdate;
import dev.gradclip.ClipRule;
import dev.gradclip.SgdUpdate;
import dev.gradclip.Update;
import dev.gradclip.javacpp.TorchClipper;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * Compares the weights after some steps of gradclip and of LibTorch's optimizers with the same formulas in double, on a
 * model's weights and seeded normal gradients. LibTorch gets gradients that are scaled by gradclip's coefficient, so
 * that only the updates differ; every other step clips.
 */
final class UpdateParity {
    private static final double RATE = 1e-2;
    private static final double MOMENTUM = 0.9;

    /** This library's distance may be so many times LibTorch's: both are a few roundings, in another order. */
    private static final double MOST = 1.25;

    /**
     * The largest distances of any weight, in units of the last place of the weight, or of the sum of all steps where
     * the weight is smaller: a weight near 0 has the rounding of larger ones in it.
     */
    record Distances(double ours, double theirs, double apart) {}

    private final List<Tensor> start = new ArrayList<>();
    private final int steps;
    private final double unclippedNorm;

    UpdateParity(TensorVector model, int steps) {
        this.steps = steps;
        long elements = 0;
        for (long i = 0; i < model.size(); i++) {
            start.add(model.get(i).detach().clone().retainReference());
            elements += model.get(i).numel();
        }
        unclippedNorm = Math.sqrt((double) elements);
    }

    /**
     * Prints a row for AdamW and one for SGD with momentum.
     *
     * @throws IllegalStateException if this library's weights are not as near to the exact ones as LibTorch's are
     */
    void run(PrintStream out) {
        out.println("| update | gradclip | LibTorch | one from the other |");
        out.println("|---|---|---|---|");
        print(out, "AdamW", Update.adamW(RATE));
        print(out, "SGD, momentum 0.9", Update.sgd(RATE).withMomentum(MOMENTUM));
    }

    private void print(PrintStream out, String title, Update update) {
        Distances found = distances(update);
        out.printf(Locale.ROOT, "| %s | %.1f | %.1f | %.1f |%n", title, found.ours, found.theirs, found.apart);
        if (!(found.ours <= MOST * found.theirs)) {
            throw new IllegalStateException("gradclip's " + title + " is further from the exact weights: " + found);
        }
    }

    Distances distances(Update update) {
        float[] coefficients = new float[steps];
        TensorVector ours = parameters();
        try (TorchClipper clipper = TorchClipper.of(ours)) {
            for (int step = 0; step < steps; step++) {
                setGradients(ours, step, 1);
                ClipRule rule = ClipRule.globalNorm(step % 2 == 0 ? unclippedNorm / 10 : 2 * unclippedNorm);
                coefficients[step] = (float) clipper.step(update, rule).coefficient();
            }
        }
        TensorVector theirs = parameters();
        try (Optimizer optimizer = optimizer(update, theirs)) {
            for (int step = 0; step < steps; step++) {
                setGradients(theirs, step, coefficients[step]);
                optimizer.step();
            }
        }
        Distances most = new Distances(0, 0, 0);
        for (int i = 0; i < start.size(); i++) {
            double[] exact = exact(i, update, coefficients);
            most = furthest(most, exact, floats(ours.get(i)), floats(theirs.get(i)));
        }
        return most;
    }

    private TensorVector parameters() {
        TensorVector list = new TensorVector();
        for (Tensor one : start) list.push_back(one.clone().set_requires_grad(true));
        return list;
    }

    private static Optimizer optimizer(Update update, TensorVector parameters) {
        if (update instanceof AdamUpdate) return new AdamW(parameters, new AdamWOptions(RATE));
        SGDOptions options = new SGDOptions(RATE);
        options.momentum().put(((SgdUpdate) update).momentum());
        return new SGD(parameters, options);
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private void setGradients(TensorVector parameters, int step, float coefficient) {
        try (PointerScope scope = new PointerScope()) {
            for (int i = 0; i < start.size(); i++) {
                Tensor gradient = gradient(i, step);
                if (coefficient != 1) gradient.mul_(new Scalar(coefficient));
                parameters.get(i).mutable_grad().put(gradient);
            }
        }
    }

    /** The same at each call, so that none is kept. */
    private Tensor gradient(int tensor, int step) {
        manual_seed(1000L * step + tensor);
        return randn_like(start.get(tensor));
    }

    private static float[] floats(Tensor tensor) {
        float[] values = new float[(int) tensor.numel()];
        tensor.detach().data_ptr_float().get(values);
        return values;
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private double[] exact(int tensor, Update update, float[] coefficients) {
        float[] from = floats(start.get(tensor));
        double[] weights = new double[from.length];
        for (int k = 0; k < from.length; k++) weights[k] = from[k];
        double[] first = new double[from.length];
        double[] second = new double[from.length];
        for (int step = 0; step < steps; step++) {
            float[] gradients;
            try (PointerScope scope = new PointerScope()) {
                gradients = floats(gradient(tensor, step));
            }
            if (update instanceof AdamUpdate adam) {
                adam(adam, weights, first, second, gradients, coefficients[step], step + 1);
            } else {
                double momentum = ((SgdUpdate) update).momentum();
                for (int k = 0; k < weights.length; k++) {
                    first[k] = momentum * first[k] + (double) gradients[k] * coefficients[step];
                    weights[k] -= RATE * first[k];
                }
            }
        }
        return weights;
    }

    private static void adam(
            AdamUpdate adam, double[] w, double[] m, double[] v, float[] gradients, double coefficient, int step) {
        double beta1 = adam.beta1();
        double beta2 = adam.beta2();
        double decay = 1 - RATE * adam.weightDecay();
        double mean = 1 / (1 - Math.pow(beta1, step));
        double square = 1 / (1 - Math.pow(beta2, step));
        for (int k = 0; k < w.length; k++) {
            double g = gradients[k] * coefficient;
            m[k] = beta1 * m[k] + (1 - beta1) * g;
            v[k] = beta2 * v[k] + (1 - beta2) * g * g;
            w[k] = decay * w[k] - RATE * (m[k] * mean) / (Math.sqrt(v[k] * square) + adam.epsilon());
        }
    }

    private Distances furthest(Distances most, double[] exact, float[] ours, float[] theirs) {
        double our = most.ours;
        double their = most.theirs;
        double apart = most.apart;
        for (int k = 0; k < exact.length; k++) {
            double unit = Math.ulp((float) Math.max(Math.abs(exact[k]), steps * RATE));
            our = Math.max(our, Math.abs(ours[k] - exact[k]) / unit);
            their = Math.max(their, Math.abs(theirs[k] - exact[k]) / unit);
            apart = Math.max(apart, Math.abs((double) ours[k] - theirs[k]) / unit);
        }
        return new Distances(our, their, apart);
    }
}
