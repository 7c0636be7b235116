// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import dev.gradclip.ClipResult;
import dev.gradclip.Gradients;
import java.util.ArrayList;
import java.util.List;

/**
 * The loss of a recurrent network of one unit as a surface over its two weights, with a wall at which gradients
 * explode, and the way that gradient descent takes over it: {@code x ← w σ(x) + b} from 0.5 on, 50 times, and the loss
 * {@code (σ(x) - 0.7)²}. After R. Pascanu, T. Mikolov, Y. Bengio 2013 (arXiv 1211.5063), section 2.3 and figure 6.
 */
public final class Cliff {
    public static final double LEARNING_RATE = 0.5;
    public static final double MAX_NORM = 0.2;
    private static final double FIRST_W = 5.5;
    private static final double FIRST_B = -2.6;
    private static final int STEPS = 20;
    private static final int TIMES = 50;
    private static final double FIRST_X = 0.5;
    private static final double TARGET = 0.7;

    private Cliff() {}

    /**
     * A place on the surface.
     *
     * @param w weight
     * @param b bias
     * @param loss there
     * @param norm of the gradient there, before clipping
     */
    public record Point(double w, double b, double loss, double norm) {}

    /** Returns the loss at a place. */
    public static double loss(double w, double b) {
        return gradient(w, b, new double[2]);
    }

    /** Writes the derivatives by w and b, and returns the loss. */
    private static double gradient(double w, double b, double[] into) {
        double x = FIRST_X;
        double byW = 0;
        double byB = 0;
        for (int i = 0; i < TIMES; i++) {
            double y = sigmoid(x);
            double slope = w * y * (1 - y);
            byW = y + slope * byW;
            byB = 1 + slope * byB;
            x = w * y + b;
        }
        double y = sigmoid(x);
        double error = y - TARGET;
        double outer = 2 * error * y * (1 - y);
        into[0] = outer * byW;
        into[1] = outer * byB;
        return error * error;
    }

    private static double sigmoid(double x) {
        return 1 / (1 + StrictMath.exp(-x));
    }

    /** Returns the places that gradient descent goes through, each step clipped by the global norm. */
    public static List<Point> clipped() {
        return path(MAX_NORM);
    }

    /** Returns the places that gradient descent goes through without clipping; it leaves the picture at the wall. */
    public static List<Point> unclipped() {
        return path(Double.POSITIVE_INFINITY);
    }

    private static List<Point> path(double maxNorm) {
        List<Point> path = new ArrayList<>();
        double w = FIRST_W;
        double b = FIRST_B;
        double[] gradient = new double[2];
        for (int step = 0; step <= STEPS; step++) {
            double loss = gradient(w, b, gradient);
            ClipResult result = Gradients.clipByGlobalNorm(maxNorm, gradient);
            path.add(new Point(w, b, loss, result.globalNorm()));
            w -= LEARNING_RATE * gradient[0];
            b -= LEARNING_RATE * gradient[1];
        }
        return path;
    }
}
