// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.util.ArrayList;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.internal.chartpart.Annotation;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A chart with a row for each name and dots on a logarithmic axis, for numbers that differ by powers of ten: bars have
 * no place there, because the axis has no 0 to begin at.
 */
public final class DotRows {
    private static final int WIDTH = 600;

    /** The height of title, axis and legend. */
    private static final int AROUND = 120;

    /** In a lower plot XChart sets ticks at other distances than it is told. */
    private static final int LOWEST_PLOT = 170;

    /** Names of lower rows touch, and some are left out. */
    private static final int LOWEST_ROW = 18;

    private static final Color TEXT = new Color(0x333333);

    private final XYChart chart;
    private final int rows;
    private final double from;
    private final double to;

    /**
     * One number of a row.
     *
     * @param row the name's place, from 0
     * @param value where the dot is, above 0
     * @param low where a line through the dot begins; the value itself for none
     * @param high where it ends
     * @param text what stands beside it
     */
    public record Dot(int row, double value, double low, double high, String text) {}

    /**
     * Makes a chart without dots.
     *
     * @param axis what the numbers are, and their unit
     * @param names of the rows, the first on top
     * @param rowHeight in pixels, 18 or more; few rows are higher
     * @param from the axis's least number, above 0
     * @param to its largest; texts beside dots need room before it
     * @throws IllegalArgumentException if there is no row, rows are too low, or the axis has no length or begins at 0
     */
    public DotRows(String title, String axis, List<String> names, int rowHeight, double from, double to) {
        if (names.isEmpty() || rowHeight < LOWEST_ROW || !(from > 0) || !(to > from)) {
            throw new IllegalArgumentException(names.size() + " rows of " + rowHeight + " pixels from " + from + " to "
                    + to + "; give a row of 18 pixels or more, and an axis above 0");
        }
        rows = names.size();
        int pitch = Math.max(rowHeight, LOWEST_PLOT / (rows + 1) + 1);
        this.from = from;
        this.to = to;
        chart = new XYChartBuilder()
                .width(WIDTH)
                .height(AROUND + (rows + 1) * pitch)
                .title(title)
                .xAxisTitle(axis)
                .build();
        Png.style(chart.getStyler());
        chart.getStyler().setXAxisLogarithmic(true);
        chart.getStyler().setXAxisLogarithmicDecadeOnly(true);
        chart.getStyler().setXAxisDecimalPattern("#,##0.###");
        chart.getStyler().setXAxisMin(from);
        chart.getStyler().setXAxisMax(to);
        // A logarithmic axis has nine of them in each decade.
        chart.getStyler().setPlotGridVerticalLinesVisible(false);
        chart.getStyler().setPlotContentSize(1);
        chart.getStyler().setMarkerSize(9);
        // Bold letters of the size that XChart takes are cut off at 60 of them.
        chart.getStyler().setAxisTitleFont(chart.getStyler().getBaseFont().deriveFont(Font.PLAIN, 12f));
        chart.getStyler().setYAxisLabelAlignment(AxesChartStyler.TextAlignment.Right);
        chart.getStyler().setYAxisMin(-1.0);
        chart.getStyler().setYAxisMax((double) rows);
        // XChart takes a round number of rows between ticks that makes about so many pixels: one.
        chart.getStyler().setYAxisTickMarkSpacingHint(pitch);
        chart.getStyler().setYAxisTickLabelsFormattingFunction(y -> label(y, names));
    }

    /**
     * Names whole numbers. XChart takes no two labels that are equal, as names may be and blanks are: what has no width
     * makes them differ.
     */
    private static String label(double y, List<String> names) {
        long row = names.size() - 1 - Math.round(y);
        boolean isName = Math.abs(y - Math.rint(y)) < 1e-6 && row >= 0 && row < names.size();
        int halves = (int) Math.round(2 * y);
        String number = (halves < 0 ? "\u200c" : "\u200d").repeat(Math.abs(halves) + 1);
        return (isName ? names.get((int) row) : " ") + number;
    }

    /** Draws a dashed line through all rows, if the axis reaches so far. */
    public void line(double at, Color colour) {
        if (at < from || at > to) return;
        hidden(chart.addSeries("line at " + at, List.of(at, at), List.of(-1.0, (double) rows)))
                .setLineColor(colour)
                .setLineStyle(
                        new BasicStroke(1.5f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10, new float[] {5, 4}, 0));
    }

    /**
     * Draws dots that belong together.
     *
     * @param shift how far above the middle of their rows, in parts of a row, so that two in a row are told apart
     */
    public void dots(String name, Color colour, Marker marker, double shift, List<Dot> dots) {
        if (dots.isEmpty()) return;
        for (Dot dot : dots) {
            double y = rows - 1 - dot.row() + shift;
            if (dot.high() > dot.low()) {
                List<Double> ends = List.of(Math.max(from, dot.low()), Math.min(to, dot.high()));
                hidden(chart.addSeries(name + ", row " + dot.row(), ends, List.of(y, y)))
                        .setLineColor(new Color(colour.getRed(), colour.getGreen(), colour.getBlue(), 130))
                        .setLineStyle(new BasicStroke(3));
            }
            chart.addAnnotation(new Beside(dot.text(), Math.min(to, Math.max(dot.value(), dot.high())), y));
        }
        List<Double> x = new ArrayList<>();
        List<Double> y = new ArrayList<>();
        for (Dot dot : dots) {
            x.add(Math.max(from, Math.min(to, dot.value())));
            y.add(rows - 1 - dot.row() + shift);
        }
        XYSeries series = chart.addSeries(name, x, y);
        series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
        series.setMarker(marker);
        series.setMarkerColor(colour);
    }

    /** Writes a text at the left end of a row, such as why it has no dot. */
    public void note(int row, String text) {
        chart.addAnnotation(new Beside(text, from, rows - 1 - row));
    }

    /** Returns the chart; all with as many rows of one height have one size. */
    public XYChart chart() {
        return chart;
    }

    private static XYSeries hidden(XYSeries series) {
        series.setShowInLegend(false);
        series.setMarker(SeriesMarkers.NONE);
        return series;
    }

    /** A text that begins right of a place; XChart's own is centred there, over the dot. */
    private static final class Beside extends Annotation {
        private static final int GAP = 8;

        private final String text;
        private final double x;
        private final double y;

        Beside(String text, double x, double y) {
            super(false);
            this.text = text;
            this.x = x;
            this.y = y;
        }

        @Override
        public void paint(Graphics2D g) {
            g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            g.setFont(styler.getBaseFont().deriveFont(Font.PLAIN, 11f));
            g.setColor(TEXT);
            g.drawString(text, getXAxisScreenValue(x) + GAP, getYAxisScreenValue(y) + 4);
        }
    }
}
