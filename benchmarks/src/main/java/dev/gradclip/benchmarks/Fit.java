// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import java.util.List;

/**
 * The line {@code start + slope * x} with the least sum of squared relative errors.
 *
 * @param start value at 0
 * @param slope growth by unit of x
 * @param residual root of the mean squared relative error: 0.1 is 10 %
 */
record Fit(double start, double slope, double residual) {
    /** A point that the line is to meet. */
    record Point(double x, double y) {}

    /** Through two points and more, whose x differ and whose y are above 0. */
    static Fit of(List<Point> points) {
        // Of the weighted sums below with weights 1 / y²: relative errors count, so that small sizes do as well as
        // large.
        double w = 0;
        double wx = 0;
        double wxx = 0;
        double wy = 0;
        double wxy = 0;
        for (Point p : points) {
            double weight = 1 / (p.y() * p.y());
            w += weight;
            wx += weight * p.x();
            wxx += weight * p.x() * p.x();
            wy += weight * p.y();
            wxy += weight * p.x() * p.y();
        }
        double slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
        double start = (wy - slope * wx) / w;
        return new Fit(start, slope, residual(points, start, slope));
    }

    private static double residual(List<Point> points, double start, double slope) {
        double sum = 0;
        for (Point p : points) {
            double error = (start + slope * p.x()) / p.y() - 1;
            sum += error * error;
        }
        return Math.sqrt(sum / points.size());
    }

    double at(double x) {
        return start + slope * x;
    }
}
