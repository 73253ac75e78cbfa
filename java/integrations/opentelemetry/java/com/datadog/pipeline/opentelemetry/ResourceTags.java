package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.sdk.resources.Resource;

/** What the spans of one resource share: its tags, ready to be copied, and its concepts. */
final class ResourceTags {
  final Resource resource;
  final long id;
  final Concepts.Values concepts = new Concepts.Values();
  final Tag[] names;
  final String[] values;

  /** The rate of analytics that it names for its spans, negative if none. */
  double analytics = -1;

  /** The pairs as they stand in the payload {@link #payload}. */
  final Buf block = new Buf();

  private long payload;

  ResourceTags(Resource resource, long id, Rules rules) {
    this.resource = resource;
    this.id = id;
    int most = resource.getAttributes().size();
    Tag[] tags = new Tag[most];
    String[] texts = new String[most];
    int[] count = {0};
    resource
        .getAttributes()
        .forEach(
            (key, value) -> {
              int concept = Concepts.number(key.getKey());
              if (concept >= 0) {
                concepts.put(concept, value);
              }
              if (Rules.isField(key.getKey())) {
                return;
              }
              if (Rules.isAnalytics(key.getKey())) {
                analytics = Values.analytics(Values.text(value));
                return;
              }
              Tag tag = rules.tag(Rules.mapped(key.getKey()));
              String text = Values.text(value);
              if (tag.inResource == id) {
                // Two keys of one name: the first that is not empty.
                for (int i = 0; i < count[0]; i++) {
                  if (tags[i] == tag && texts[i].isEmpty()) {
                    texts[i] = text;
                  }
                }
                return;
              }
              tag.inResource = id;
              tags[count[0]] = tag;
              texts[count[0]++] = text;
            });
    names = java.util.Arrays.copyOf(tags, count[0]);
    values = java.util.Arrays.copyOf(texts, count[0]);
  }

  /** Marks its tags as this resource's, so that a span that has one of them is noticed. */
  void claim() {
    for (Tag tag : names) {
      tag.inResource = id;
    }
  }

  /** Its pairs for this payload. */
  Buf block(StringTable table, long current) {
    if (payload != current) {
      block.clear();
      for (int i = 0; i < names.length; i++) {
        block.unsigned(names[i].number(table, current));
        block.unsigned(table.of(values[i]));
      }
      payload = current;
    }
    return block;
  }
}
