// What queries have in common.

export const JOB = 'job="ssom-alert"';
export const CREATE = 'rpc_method=~"ssom.alert.v1.AlertService/(CreateAlert|BatchCreateAlerts)"';

/** A counter's events per second. @param {string} metric @param {string} [by] */
export const rate = (metric, by = '') => `sum${by === '' ? '' : ` by (${by}) `}(rate(${metric}[$__rate_interval]))`;

/**
 * Quantiles of a histogram, as queries.
 * @param {string} histogram with its labels
 * @param {string} [by]
 * @returns {[string, string][]}
 */
export const quantiles = (histogram, by = '') => {
  const [name, labels = ''] = histogram.split(/(?=\{)/);
  const le = by === '' ? 'le' : `le, ${by}`;
  const legend = by === '' ? '' : ` {{${by}}}`;
  return [0.5, 0.99].map((quantile) => [
    `histogram_quantile(${quantile}, sum by (${le}) (rate(${name}_bucket${labels}[$__rate_interval])))`,
    `p${quantile * 100}${legend}`,
  ]);
};
